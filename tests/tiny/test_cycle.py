"""The cycle, for each architecture: what comes out of it can be used."""

from __future__ import annotations

import pytest

def test_x(trained):
    r=trained("llama")
    print(r.folder, r.registry().model_dump_json(indent=1))
