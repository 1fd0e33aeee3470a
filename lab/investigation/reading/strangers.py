"""What can be said of a stranger's traces: without a reference less, and nothing is called new."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol, TypeGuard, TypeVar

from lab.domain.evidence import Evidence, Sample, Telemetry, stranger_evidence
from lab.domain.trace import Trace
from lab.errors import NoReference, UsageError

if TYPE_CHECKING:
    # Whoever only asks whether there is a reference waits neither for charts nor for the map.
    from lab.investigation.reading.edge_signals import Signals
    from lab.investigation.reading.service_map import ServiceMap


class Looked(Protocol):
    """A case, what may be seen of one, or a stranger's telemetry."""

    @property
    def case_id(self) -> str:
        """What it is called."""

    @property
    def evidence(self) -> Evidence:
        """What there is to see."""


Any = TypeVar("Any", bound=Looked)

COLUMNS: Final = 30
"""Of a chart, so that three of them and a page of traces stay below 100 kB."""

_STEPS: Final = (1.0, 2.0, 5.0, 10.0)


def is_alone(case: Looked) -> TypeGuard[Telemetry]:
    """Whether nobody has said which of its traces were healthy."""
    return isinstance(case, Telemetry) and case.healthy is None


def no_reference(case: Looked) -> str:
    """The sentence that says so, and how to say it."""
    return _NO_REFERENCE.format(case.case_id)


_NO_REFERENCE: Final = (
    "no reference has been chosen, so nothing here is compared with a healthy time: "
    "`lab reference {} --before FROM..TO` or `--compare FILE` chooses one, and so does the chart "
    "on the desk's page of it"
)


def brought(case: Looked) -> Telemetry:
    """The case, where it has no windows of its own; else UsageError."""
    if isinstance(case, Telemetry):
        return case
    raise UsageError(
        f"expected traces that somebody brought, got {case.case_id}: a case has a reference of "
        "its own, the time before its incident"
    )


def own_traces(case: Looked) -> Iterable[Trace]:
    """The traces of the case itself: what an import is compared with is no part of it."""
    return case.own_traces() if isinstance(case, Telemetry) else case.evidence.traces.values()


def healthy_count(case: Looked) -> int:
    """How many of the traces that it has or is compared with are of a healthy time."""
    return len(case.evidence.samples.get(Sample.REFERENCE, ()))


def compared(case: Any) -> Any:
    """The case; NoReference where nothing tells how it was before."""
    if is_alone(case):
        raise NoReference(f"expected traces of a healthy time, found none: {no_reference(case)}")
    return case


def map_of(case: Looked) -> ServiceMap:
    """The map; of traces without a reference its first side is empty."""
    from lab.investigation.reading.service_map import service_map

    return service_map(_in_one_window(case) if is_alone(case) else case.evidence)


def map_shown(case: Looked) -> ServiceMap:
    """The same; of traces without a reference with two sides alike, so that nothing is new."""
    found = map_of(case)
    if not is_alone(case):
        return found
    return replace(
        found,
        services=tuple(replace(each, reference=each.crime) for each in found.services),
        edges=tuple(replace(each, reference=each.crime) for each in found.edges),
        reference=found.crime,
    )


def signals_evidence(case: Looked) -> Evidence:
    """What its signals are drawn of: the time of its own traces, whatever it is compared with."""
    if isinstance(case, Telemetry) and not (case.healthy and case.healthy.stretch):
        return _in_one_window(case)
    return case.evidence


def overview_signals(case: Telemetry, *, columns: int = COLUMNS) -> Signals:
    """Rate, errors and latency of all roots over the time of the traces."""
    from lab.investigation.reading.edge_signals import signals
    from lab.investigation.reading.requests import axis_start_s

    evidence = signals_evidence(case)
    ends_s = [each.end_s for each in evidence.windows.values()]
    length_s = max(ends_s, default=1.0) - axis_start_s(evidence)
    return named(case, signals(evidence, step_s=_step_s(length_s / columns)))


def named(case: Looked, found: Signals) -> Signals:
    """The same; of traces without a reference no time is called anything."""
    if not is_alone(case):
        return found
    buckets = tuple(replace(each, window=None) for each in found.buckets)
    return replace(found, windows=(), buckets=buckets)


def _in_one_window(case: Telemetry) -> Evidence:
    """Each trace as a request, all of the same window, of which nothing more is said."""
    return stranger_evidence(case.evidence.traces, case.index)


def _step_s(least_s: float) -> float:
    """The next 1, 2, 5 or 10 times a power of ten, a millisecond at least."""
    least_s = max(least_s, 0.001)
    power = 10.0 ** math.floor(math.log10(least_s))
    return next(each * power for each in _STEPS if each * power >= least_s * (1 - 1e-9))
