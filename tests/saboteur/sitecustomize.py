"""Sets the saboteur on a process that others start: Python itself imports this where PYTHONPATH names the folder.

SABOTAGE_ROOT: only what lies below counts. SABOTAGE_LOG: each moment is written there, one a line. SABOTAGE_MOMENT: the
one at which to strike, and SABOTAGE: how. Runs are all called RUN in a moment, and it ends in how many steps the newest
run's journal holds (`@3`), so that it is the same moment in every run, wherever its root lies.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120  # before anything else

from saboteur import Saboteur

_ROOT = Path(os.path.realpath(os.environ["SABOTAGE_ROOT"]))
_LOG = os.environ.get("SABOTAGE_LOG", "")
_MOMENT = os.environ.get("SABOTAGE_MOMENT", "")
_VARYING = re.compile(r"\d{4}-\d{2}-\d{2}(-\d{6}-[0-9a-f]{6})?")


def _in_any_run(what: str) -> str:
    journals = sorted(_ROOT.glob("profiles/*/out/*/*/*/run.json"))
    done = str(journals[-1].read_text(encoding="utf-8").count('"done_at"')) if journals else "-"
    return f"{_VARYING.sub('RUN', what)} @{done}"


Saboteur(
    _ROOT,
    lambda _, moment: moment == _MOMENT,
    how=os.environ.get("SABOTAGE", ""),
    log=Path(_LOG) if _LOG else None,
    put=_in_any_run,
).watch()
