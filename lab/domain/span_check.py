"""Bounds of a case on what many spans of a sample tell together: when, how varied, how much."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lab.domain.bound import Bound
from lab.domain.evidence import Sample
from lab.domain.journal import Step
from lab.domain.load import Window
from lab.domain.predicate import Predicate


class Timing(StrEnum):
    """What the starts of spans are asked for.

    ``first`` and ``last`` count from the start of the window; ``period`` is the median time
    from the beginning of one bunch to that of the next.
    """

    FIRST = "first"
    LAST = "last"
    PERIOD = "period"


@dataclass(frozen=True, slots=True)
class SpanTimingCheck:
    """When the matching spans of ``sample`` start, in ms.

    A span that starts ``apart_ms`` or more after the one before it begins another bunch.
    """

    label: str
    predicate: Predicate
    timing: Timing
    bound: Bound
    apart_ms: float = 1000.0
    sample: Sample = Sample.AFFECTED
    window: Window = Window.CRIME
    step: Step = Step.CRIME


@dataclass(frozen=True, slots=True)
class SpanValuesCheck:
    """How many different values ``attribute`` has in the matching spans of ``sample``.

    A span without it has none.
    """

    label: str
    predicate: Predicate
    attribute: str
    bound: Bound
    sample: Sample = Sample.AFFECTED
    step: Step = Step.CRIME


@dataclass(frozen=True, slots=True)
class SpanShareCheck:
    """What share of its root's duration the matching spans of a trace take together.

    Their durations are added up, so spans that run at once may come to more than all of it;
    ``bound`` is on the median over the traces of ``sample``.
    """

    label: str
    predicate: Predicate
    bound: Bound
    sample: Sample = Sample.AFFECTED
    step: Step = Step.CRIME


SpanCheck = SpanTimingCheck | SpanValuesCheck | SpanShareCheck
"""What many spans tell together; a closed list."""
