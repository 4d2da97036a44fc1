"""Memories whose files the user has deleted: kept, or erased, as `[forget] on_delete` says.

Invariant: nothing is erased because something could not be seen. A root that is missing, or has not one file left, is a
drive that is away, and so is whatever takes many files along at once; a file that was not found once may just be being
moved or replaced.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from metahuman_core.ledger import Ledger, ScanReport
from metahuman_core.looking import sources
from metahuman_core.settings import Settings

GRACE = timedelta(minutes=1)
_FEW = 20
_SHARE = 10


def erase_deleted(settings: Settings, profile: str, ledger: Ledger, report: ScanReport, at: datetime) -> int:
    """Erase what stood only in files that are gone, if that is wanted. Gives how many memories.

    To be called after a look at all folders, none of which was missing (`report` is what it met). What is gone must
    have been so a minute ago, too; more than twenty files, and a tenth of all, a person has to erase by name.
    """
    if settings.forget.on_delete == "keep" or report.unsteady:
        return 0
    labels = [label for label, _ in sources(settings, profile) if ledger.files(label)]
    most = max(_FEW, report.files // _SHARE)
    return len(ledger.forgetting.erase_deleted(labels, at, gone_before=at - GRACE, most=most))
