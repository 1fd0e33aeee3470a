"""What a case about evidence itself says of its own evidence: how much, and what may be missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import Final

from lab.domain.record import RecordQuery
from lab.frozen import dataclass

COLLECT_WITHIN_S: Final = 40.0
"""Two to four seconds on a calm machine; a busy one gets the time, rather than no verdict."""

MAX_AFFECTED: Final = 100
MAX_CONTROLS: Final = 50


class Loss(StrEnum):
    """Which spans may be missing from the trace store.

    *None*: every span that ended arrives. *Sampled*: a sampler behind the services drops
    whole traces, so that fewer arrive; what arrives is whole.
    """

    NONE = "none"
    SAMPLED = "sampled"


@dataclass(frozen=True, slots=True)
class Observation:
    """How many traces are fetched, within which time, and what else is kept of a run.

    ``kept`` names the records that say which of the crime's traces a sampler kept: only
    these are asked for, and only of these completeness is asked.
    """

    affected: int = MAX_AFFECTED
    controls: int = MAX_CONTROLS
    within_s: float = COLLECT_WITHIN_S
    loss: Loss = Loss.NONE
    kept: str | None = None
    records: Mapping[str, RecordQuery] = field(default_factory=dict)
