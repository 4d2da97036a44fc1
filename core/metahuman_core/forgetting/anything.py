"""Whether anything was ever erased: asked before the ledger itself is loaded, which most commands do without."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path


def is_anything_erased(ledger: Path) -> bool:
    """Looks into a ledger's file, and changes nothing; False for one that is not there, or older than `forget`."""
    try:
        with closing(sqlite3.connect(f"{ledger.absolute().as_uri()}?mode=ro", uri=True, timeout=30)) as db:
            return db.execute("SELECT 1 FROM erased LIMIT 1").fetchone() is not None
    except sqlite3.Error:
        return False
