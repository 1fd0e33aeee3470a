"""What can be said of a stranger's traces: without a reference less, and nothing is called new."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Final, TypeGuard

from lab.domain.case import CaseFile, Sight, Telemetry
from lab.domain.evidence import Evidence, stranger_evidence
from lab.domain.trace import Event, Span
from lab.errors import NoReference
from lab.investigation.reading.edge_signals import Signals, Stretch, signals
from lab.investigation.reading.requests import WINDOW_WORDS
from lab.investigation.reading.service_map import ServiceMap, service_map
from lab.investigation.reading.span_words import value_text

COLUMNS: Final = 30
"""Of a chart, so that three of them and a page of traces stay below 100 kB."""

HEALTHY: Final = next(iter(WINDOW_WORDS.values()))

_STEPS: Final = (1.0, 2.0, 5.0, 10.0)
_LEVELS: Final = ("level", "severity", "log.severity", "log.level")
"""What libraries call the level of a line that they write as an event of a span."""


def is_alone(case: CaseFile | Sight) -> TypeGuard[Telemetry]:
    """Whether nobody has said which of its traces were healthy."""
    return isinstance(case, Telemetry) and case.healthy is None


def no_reference(case: CaseFile | Sight) -> str:
    """The sentence that says so, and how to say it."""
    return (
        "no reference has been chosen, so nothing here is compared with a healthy time: "
        f"`lab reference {case.case_id} --before FROM..TO` or `--compare FILE` chooses one, and so "
        "does the chart on the desk's page of it"
    )


def compared(case: CaseFile) -> CaseFile:
    """The case; NoReference where nothing tells how it was before."""
    if is_alone(case):
        raise NoReference(f"expected traces of a healthy time, found none: {no_reference(case)}")
    return case


def map_of(case: CaseFile) -> ServiceMap:
    """The map; of traces without a reference both sides are the same, and nothing is new."""
    if not is_alone(case):
        return service_map(case.evidence)
    found = service_map(case.overview)
    return replace(
        found,
        services=tuple(replace(each, reference=each.crime) for each in found.services),
        edges=tuple(replace(each, reference=each.crime) for each in found.edges),
        reference=found.crime,
    )


def overview_signals(case: Telemetry) -> Signals:
    """Rate, errors and latency of all roots over the time of the traces; the healthy one marked."""
    evidence = stranger_evidence(case.evidence.traces, case.index)
    length_s = sum(window.length_s for window in evidence.windows.values())
    found = signals(evidence, step_s=_step_s(length_s))
    stretch = case.healthy.stretch if case.healthy else None
    start_s, end_s = (
        (at - found.origin_unix_s for at in (stretch.start_s, stretch.end_s)) if stretch else (0, 0)
    )
    marked = Stretch(HEALTHY, max(0.0, start_s), min(end_s, found.end_s))
    return replace(
        found,
        windows=(marked,) if stretch else (),
        buckets=tuple(
            replace(each, window=HEALTHY if start_s <= each.start_s < end_s else None)
            for each in found.buckets
        ),
    )


def _step_s(length_s: float) -> float:
    """The next 1, 2, 5 or 10 times a power of ten that makes at most so many columns."""
    least_s = max(length_s / COLUMNS, 0.001)
    power = 10.0 ** math.floor(math.log10(least_s))
    return next(each * power for each in _STEPS if each * power >= least_s * (1 - 1e-9))


def event_lines(evidence: Evidence) -> Iterator[str]:
    """The events of all spans as log lines, each as JSON: what such traces have of a log."""
    for trace in evidence.traces.values():
        for span in trace:
            for event in span.events:
                yield json.dumps(_line(span, event))


def _line(span: Span, event: Event) -> dict[str, object]:
    is_exception = event.name == "exception"
    told = {key.removeprefix("exception."): value for key, value in event.attributes.items()}
    words = [f"{key}={value_text(value)}" for key, value in told.items() if key != "stacktrace"]
    levels = (str(event.attributes[key]) for key in _LEVELS if key in event.attributes)
    return {
        "time_unix_s": event.time_ns / 1e9,
        "service": span.service,
        "severity": "ERROR" if is_exception else next(levels, "INFO"),
        "body": " ".join((event.name, *words)),
        "trace_id": span.trace_id,
        "span_id": span.span_id,
    }
