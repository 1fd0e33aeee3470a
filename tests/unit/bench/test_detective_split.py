"""Cases for tuning the detective and cases for scoring it are kept apart, by a rule."""

from __future__ import annotations

from typing import Any

import pytest

from lab.settings import CHECKOUT
from tests.support.recorded_cases import RECORDINGS


@pytest.fixture
def split(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of ``bench/``, which is a folder of scripts and no package."""
    monkeypatch.syspath_prepend(str(CHECKOUT / "bench"))
    import detective_split

    return detective_split


def test_the_file_says_what_the_rule_says(split: Any) -> None:
    """A scenario added later is of the part that the rule gives it; none is moved."""
    committed = split.SPLIT_FILE.read_text(encoding="utf-8").splitlines()
    ruled = split.split_text(list(RECORDINGS)).splitlines()
    assert set(committed) <= set(ruled)
    assert len(committed) >= 28


@pytest.mark.parametrize(("seed", "part"), [(1, "tuning"), (2, "held out")])
def test_another_seed_of_a_tuned_scenario_is_held_out(split: Any, seed: int, part: str) -> None:
    """What was tuned on one run of a scenario is scored on another."""
    assert split.part_of("slow-shelves", 1) == "held out"
    assert split.part_of("silent-bank", seed) == part
