"""Rebuilds a version with the real steps: the only module beside cycle.py that imports them."""

from __future__ import annotations

from metahuman_core.progress import Report, StopRequested
from metahuman_core.registry import Version
from metahuman_core.steps.weights.make import make_weights
from metahuman_core.versions.rebuilding.order import Order
from metahuman_core.versions.rebuilding.remaking import remake


def rebuild(order: Order, report: Report, stop: StopRequested) -> Version:
    """Make what a version lacks: see `versions.rebuilding.remaking.remake`."""
    return remake(order, make_weights, report, stop)
