"""The recorded cases of all scenarios, each read once for all tests of a process."""

from __future__ import annotations

from functools import cache
from typing import Final

from lab.adapters.cases.recording_file import RECORDING, read_recording, recordings
from lab.domain.case import Case
from lab.settings import CHECKOUT

_SCENARIOS: Final = CHECKOUT / "scenarios"

RECORDINGS: Final = recordings(_SCENARIOS)


@cache
def recorded(name: str) -> Case:
    """The recorded case of a scenario."""
    return read_recording(_SCENARIOS / name / RECORDING)
