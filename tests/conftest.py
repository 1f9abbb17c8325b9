"""What all tests share."""

from __future__ import annotations

import os

import hypothesis
import pytest

os.environ.setdefault("MPLBACKEND", "Agg")  # pictures without a display

# No deadline: a machine that is busy with something else is no defect. The gate draws the same examples every time.
hypothesis.settings.register_profile("local", deadline=None, print_blob=True)
hypothesis.settings.register_profile("gate", deadline=None, print_blob=True, derandomize=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "local"))


@pytest.fixture(autouse=True)
def _fresh_default_generator() -> None:
    """Each test starts from the same random numbers, whichever ran before it."""
    import tinygrad_edu as tg

    tg.manual_seed(0)
