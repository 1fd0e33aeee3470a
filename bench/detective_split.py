"""Which cases the detective's rules may be tuned on, and which only tell how good they are.

The split was made before any rule was tuned, by a rule that knows nothing of a case but its
scenario's id and its seed. ``bench/detective_split.txt`` holds what the rule said of the
scenarios of that day, so that nobody can move a case by another rule.
"""

from __future__ import annotations

import hashlib
from typing import Final

from lab.domain.variation import AS_WRITTEN_SEED
from lab.settings import CHECKOUT

SPLIT_FILE: Final = CHECKOUT / "bench" / "detective_split.txt"

TUNING: Final = "tuning"
HELD_OUT: Final = "held out"


def part_of(scenario_id: str, seed: int) -> str:
    """Say *tuning* or *held out*.

    *Tuning* is where SHA-256 of the scenario's id begins with an even byte and the seed is
    the one as written. So half of the scenarios are held out at every seed, and of the
    others every seed but one.
    """
    is_even = hashlib.sha256(scenario_id.encode()).digest()[0] % 2 == 0
    return TUNING if is_even and seed == AS_WRITTEN_SEED else HELD_OUT


def split_text(scenario_ids: list[str]) -> str:
    """A line for each scenario's recording, as ``bench/detective_split.txt`` has it."""
    return "".join(f"{part_of(each, AS_WRITTEN_SEED):8}  {each}\n" for each in sorted(scenario_ids))
