"""The benches are programs in a folder of their own: what they share is imported from there."""

from __future__ import annotations

import sys
from pathlib import Path

# Behind all others, so that no bench (`report`, `train`) hides a module of that name.
sys.path.append(str(Path(__file__).parents[3] / "bench"))
