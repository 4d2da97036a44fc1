"""The ledger: which files were seen, what they say, and which runs trained it (SQLite, one per profile)."""

from metahuman_core.ledger.database import NEARLY_THE_SAME
from metahuman_core.ledger.near import NearIndex
from metahuman_core.ledger.scan import ScanReport
from metahuman_core.ledger.states import Counts, Ledger

__all__ = ["NEARLY_THE_SAME", "Counts", "Ledger", "NearIndex", "ScanReport"]
