"""What a run leaves behind to reason about: requests, windows, whole traces and log lines."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from lab.domain.join import Join, Partners, partner_ids
from lab.domain.load import Request, RequestFilter, Window
from lab.domain.record import Records, count_by_trace
from lab.domain.reference import ReferenceStats
from lab.domain.rows import TraceSummary
from lab.domain.strata import Coverage, stands_for
from lab.domain.trace import Trace
from lab.frozen import dataclass

if TYPE_CHECKING:
    # Whoever only looks at traces does not wait for the language of scenarios.
    from lab.domain.symptom import Counts, Symptom


SEVERITIES: Final = ("FATAL", "ERROR", "WARN", "INFO", "DEBUG")
"""Worst first; what a service calls otherwise is none of these and comes last."""

LONGEST_BODY: Final = 2_000

_SEVERITIES: Final = {"WARNING": "WARN", "CRITICAL": "FATAL"}

_VARYING: Final = re.compile(
    "|".join(
        (
            r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b",  # An id of an order.
            r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b",  # An address, with its port.
            r"\[[0-9a-f]*:[0-9a-f:.]*\](?::\d+)?",
            r"\b0x[0-9a-f]+\b",
            r"\b(?=[a-f]*\d)[0-9a-f]{6,}\b",  # A short id; a word of six such letters has no digit.
            r"\b[0-9a-f]{8,}\b",
            r"\d+(?:\.\d+)?",
        )
    ),
    re.IGNORECASE,
)
"""What differs from line to line, the longest first, so that an id is one mark and not five."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One record; ids as the service wrote them, None where it is of no trace."""

    time_unix_s: float
    service: str
    severity: str
    body: str
    trace_id: str | None
    span_id: str | None

    @property
    def pattern(self) -> str:
        """The body's first line, with ``#`` for what differs from line to line."""
        return _VARYING.sub("#", self.body.partition("\n")[0])

    def says(self, text: str) -> bool:
        """Whether ``text`` stands in the body or in its pattern, in whatever case."""
        wanted = text.lower()
        return wanted in self.body.lower() or wanted in self.pattern.lower()


class Sample(StrEnum):
    """Why a trace was fetched; *affected* is decided by the SLI alone.

    *Joined* are those that no request began, and that a scenario's joins look for. *Others* are
    of the incident and *others before* of the reference: whatever the four that a proof asks
    leave out of their window, for whoever looks round.
    """

    AFFECTED = "affected"
    UNAFFECTED = "unaffected"
    REFERENCE = "reference"
    RECOVERY = "recovery"
    JOINED = "joined"
    OTHERS = "others"
    OTHERS_BEFORE = "others_before"


SAMPLES_OF: Final[Mapping[Window, tuple[Sample, ...]]] = {
    Window.REFERENCE: (Sample.REFERENCE, Sample.OTHERS_BEFORE),
    Window.CRIME: (Sample.AFFECTED, Sample.UNAFFECTED, Sample.OTHERS),
    Window.RECOVERY: (Sample.RECOVERY,),
}
"""Each window: the samples that are of it alone."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A stretch of time in Unix seconds, its end excluded."""

    start_s: float
    end_s: float

    def __contains__(self, moment_s: float) -> bool:
        """Whether the moment lies inside."""
        return self.start_s <= moment_s < self.end_s

    @property
    def length_s(self) -> float:
        """How long it is, in seconds."""
        return self.end_s - self.start_s

    def __str__(self) -> str:
        """For people: both ends as RFC 3339, in UTC."""
        ends = (datetime.fromtimestamp(each, UTC) for each in (self.start_s, self.end_s))
        return " to ".join(each.isoformat(timespec="milliseconds") for each in ends)


@dataclass(frozen=True)
class Evidence:
    """Everything proof, grading and hints are computed from.

    ``samples`` names, for each reason, the trace ids that were asked for; ``traces``
    holds those that came. A trace id that was asked for and is not in ``traces``,
    or is not whole there, is evidence lost, and the proof counts it. ``joins`` say which
    of them belong to which request. ``records`` holds what the scenario has kept beside spans,
    ``logs`` the log lines of its traces, and those of no trace, as a case file has them.
    ``whole_ids`` are the traces that an index tells to be whole; None where there is none.
    ``known_partners`` is what `partners` found before; None where nobody looked.
    """

    windows: Mapping[Window, Interval]
    requests: tuple[Request, ...]
    samples: Mapping[Sample, tuple[str, ...]]
    traces: Mapping[str, Trace]
    joins: tuple[Join, ...] = ()
    records: Records = field(default_factory=dict)
    logs: tuple[str, ...] = field(default=(), repr=False)
    whole_ids: frozenset[str] | None = field(default=None, repr=False)
    known_partners: Partners | None = field(default=None, repr=False, compare=False)

    @cached_property
    def log_lines(self) -> tuple[LogLine, ...]:
        """What is a log record of ``logs``, in order of time."""
        read = (read_line(each) for each in self.logs)
        return tuple(sorted((each for each in read if each), key=lambda each: each.time_unix_s))

    def lines_of_lost_spans(self, trace: Trace) -> tuple[LogLine, ...]:
        """The log lines of ``trace`` that were written in spans which never came."""
        read = (read_line(each) for each in self.logs if trace.trace_id in each)
        return tuple(
            line
            for line in read
            if line and line.trace_id == trace.trace_id
            if line.span_id and trace.span(line.span_id) is None
        )

    @cached_property
    def counts(self) -> Counts:
        """How many of which records each trace has."""
        return {name: count_by_trace(found) for name, found in self.records.items()}

    def suffered(self, symptom: Symptom, request: Request) -> bool:
        """Whether ``request`` suffered, or may have, where only its trace can tell."""
        return symptom.is_affected(request, self.counts)

    def requests_in(self, window: Window, meant: RequestFilter) -> tuple[Request, ...]:
        """The requests of one window that are meant."""
        in_it = (request for request in self.requests if request.window is window)
        return tuple(filter(meant.covers, in_it))

    def whole_traces(self, sample: Sample) -> tuple[Trace, ...]:
        """The traces of a sample that came whole, each with what is joined to it."""
        return tuple(self._whole(self.samples.get(sample, ())))

    def _whole(self, trace_ids: Iterable[str]) -> Iterator[Trace]:
        found = map(self.trace, trace_ids)
        return (trace for trace in found if trace is not None and trace.is_whole)

    def kept_in(self, window: Window) -> Iterator[Trace]:
        """Every whole trace of a window's requests, whyever it was fetched, as `trace` has it.

        One after the other, so that a window of 10,000 needs the memory of one.
        """
        sampled = chain.from_iterable(self.samples.get(each, ()) for each in SAMPLES_OF[window])
        begun = (each.trace_id for each in self.requests if each.window is window)
        return self._whole(dict.fromkeys(chain(sampled, begun)))

    def weight(self, trace_id: str) -> float:
        """For how many requests that kept trace stands; 1 of one that no request began."""
        return self._weights.get(trace_id, 1.0)

    @cached_property
    def _weights(self) -> Mapping[str, float]:
        # Whichever came: to see whether a trace is whole it would have to be read.
        return stands_for(self.requests, self.traces.keys(), self.counts)

    def coverage(self, window: Window) -> Coverage:
        """How much of a window the traces that are kept of it stand for."""
        begun = [each.trace_id for each in self.requests if each.window is window]
        weights = [self._weights.get(each, 0.0) for each in begun]
        known = self.whole_ids
        kept = sum(1 for _ in self.kept_in(window)) if known is None else len(known & {*begun})
        return Coverage(kept, round(sum(weights)), len(begun), max(weights, default=0.0))

    def trace(self, trace_id: str) -> Trace | None:
        """One trace with what is joined to it; None where none of it came."""
        own, others = self.traces.get(trace_id), self.partners.get(trace_id)
        if own is None or not others:
            return own
        if trace_id not in self._stories:
            joined = tuple(self.traces[each] for each in others if each in self.traces)
            self._stories[trace_id] = replace(own, joined=joined)
        return self._stories[trace_id]

    @cached_property
    def _stories(self) -> dict[str, Trace]:
        return {}

    @cached_property
    def partners(self) -> Partners:
        """Which of the traces belong to which."""
        if not self.joins:
            return {}
        if self.known_partners is not None:
            return self.known_partners
        joined = map(self.traces.get, self.samples.get(Sample.JOINED, ()))
        whole = [trace for trace in joined if trace is not None and trace.is_whole]
        begun = [trace for key, trace in self.traces.items() if key in self.request_of]
        return partner_ids(self.joins, begun, whole)

    def without_strangers(self) -> Evidence:
        """The same less what was found for a join and belongs to no request that was sampled.

        Whoever looked at such a trace could not tell it from the others, and nobody could
        say of what request it is evidence. What never came whole stays, to be counted as lost.
        """
        asked = {
            trace_id
            for sample, ids in self.samples.items()
            if sample is not Sample.JOINED
            for trace_id in ids
        }
        owned = {
            each for owner, others in self.partners.items() if owner in asked for each in others
        }
        strangers = {
            trace_id
            for trace_id in self.samples.get(Sample.JOINED, ())
            if trace_id not in owned | asked
            and (trace := self.traces.get(trace_id)) is not None
            and trace.is_whole
        }
        samples = {
            sample: tuple(each for each in ids if each not in strangers)
            for sample, ids in self.samples.items()
        }
        traces = {key: trace for key, trace in self.traces.items() if key not in strangers}
        return replace(self, samples=samples, traces=traces)

    def joined_to(self, trace_id: str) -> tuple[Trace, ...]:
        """The requests' traces that the one of that id belongs to; none of a request's own."""
        owners = (owner for owner, others in self.partners.items() if trace_id in others)
        return tuple(trace for trace in map(self.trace, owners) if trace is not None)

    @cached_property
    def reference_stats(self) -> ReferenceStats:
        """What each operation took in the whole traces of the reference.

        Those that no request began and that began in its window are of it as well.
        """
        sampled = self._whole(self.samples.get(Sample.REFERENCE, ()))
        return ReferenceStats.of(chain(sampled, self.background_before()))

    def background_before(self) -> Iterator[Trace]:
        """The whole traces that no request began and that began in the reference's window."""
        window = self.windows.get(Window.REFERENCE)
        for trace_id in self.samples.get(Sample.JOINED, ()):
            trace = self.traces.get(trace_id)
            if window is None or trace is None or trace_id in self.request_of:
                continue
            if trace.is_whole and trace.spans[0].start_ns / 1e9 in window:
                yield trace

    @cached_property
    def request_of(self) -> Mapping[str, Request]:
        """Trace id → the request it is the trace of."""
        return {request.trace_id: request for request in self.requests}


@dataclass(frozen=True, slots=True)
class Healthy:
    """Which traces somebody says were healthy, of a system that has no windows of its own.

    Those that began in ``stretch``; where that is None, the traces of ``index``, which came from
    ``source``, and any of the case's own that are among them.
    """

    stretch: Interval | None = None
    source: str = ""
    index: tuple[TraceSummary, ...] = ()

    def __str__(self) -> str:
        """For people, after *healthy were*: which traces."""
        if self.stretch is None:
            return f"the traces of {self.source}"
        return f"the traces that began from {self.stretch}"

    def of(self, index: Iterable[TraceSummary]) -> tuple[TraceSummary, ...]:
        """The healthy ones beside ``index``, or among it."""
        if self.stretch is None:
            return self.index
        return tuple(each for each in index if each.start_ns and _start_s(each) in self.stretch)


def stranger_evidence(
    traces: Mapping[str, Trace], index: tuple[TraceSummary, ...], healthy: Healthy | None = None
) -> Evidence:
    """Evidence of traces that nobody watched: each is a request, and its root what the edge saw.

    Those that ``healthy`` names are of the reference, all others of the incident, as all are
    without it. A trace without a root, or without a start, is of neither.
    """
    before = healthy.of(index) if healthy else ()
    known = {each.trace_id for each in before}
    during = tuple(each for each in index if each.trace_id not in known)
    parts = {Window.REFERENCE: before, Window.CRIME: during}
    asked = {
        window: tuple(_request(each, window) for each in part if _is_asked(each))
        for window, part in parts.items()
    }
    return Evidence(
        windows=_windows(before, during, healthy.stretch if healthy else None),
        requests=tuple(chain(*asked.values())),
        samples={
            Sample.REFERENCE: tuple(each.trace_id for each in before),
            Sample.OTHERS: tuple(each.trace_id for each in during),
        },
        traces=traces,
        whole_ids=frozenset(each.trace_id for each in (*before, *during) if each.is_whole),
    )


def _is_asked(summary: TraceSummary) -> bool:
    return summary.root_ms is not None and summary.start_ns > 0


def _start_s(summary: TraceSummary) -> float:
    return summary.start_ns / 1e9


def _request(summary: TraceSummary, window: Window) -> Request:
    at_s = _start_s(summary)
    route = f"{summary.service} {summary.name}"
    took_ms = summary.root_ms or 0.0
    return Request(window, at_s, at_s, took_ms, "", route, "", summary.status, summary.trace_id)


def _windows(
    before: Iterable[TraceSummary], during: Iterable[TraceSummary], stretch: Interval | None
) -> Mapping[Window, Interval]:
    """When both were; an incident that goes on around what was healthy is told from its end on."""
    reference, crime = _extent(before), _extent(during)
    if stretch and reference and crime:
        reference = Interval(
            max(stretch.start_s, min(reference.start_s, crime.start_s)),
            min(stretch.end_s, max(reference.end_s, crime.end_s)),
        )
        if crime.start_s < reference.end_s < crime.end_s:
            crime = Interval(reference.end_s, crime.end_s)
    found = {Window.REFERENCE: reference, Window.CRIME: crime}
    return {window: each for window, each in found.items() if each}


def _extent(traces: Iterable[TraceSummary]) -> Interval | None:
    """From the first start to just behind the last end; None where none says when it was."""
    dated = [each for each in traces if each.start_ns]
    if not dated:
        return None
    ends_s = (_start_s(each) + each.duration_ms / 1000 for each in dated)
    return Interval(min(map(_start_s, dated)), max(ends_s) + 0.001)


@dataclass(frozen=True)
class Telemetry:
    """Traces that somebody brought: they can be looked at, and nobody knows the truth of them.

    ``source`` says where they came from, ``index`` lists them in order of time. Only where
    somebody said which were ``healthy`` are there windows, and each trace is a request.
    ``lines_with`` gives, of these trace ids, those in whose line all of these lower-case texts
    stand, whatever their case there; None where only a trace itself can be asked.
    """

    case_id: str
    title: str
    source: str
    opened_unix_s: float
    evidence: Evidence
    index: tuple[TraceSummary, ...]
    healthy: Healthy | None = None
    lines_with: Callable[[Sequence[str], Sequence[str]], Iterable[str]] | None = None

    def own_traces(self) -> Iterator[Trace]:
        """Its traces, one after the other; what they are compared with is no part of them."""
        return (self.evidence.traces[each.trace_id] for each in self.index)


@dataclass(frozen=True, slots=True)
class Sight:
    """What anybody may look at of a case: its evidence, and nothing of its scenario.

    So ``evidence`` has no joins. A trace of it is read when it is asked for.
    """

    case_id: str
    evidence: Evidence


def read_line(text: str) -> LogLine | None:
    """The line that a case file holds as JSON; None for what is no log record."""
    try:
        record: dict[str, Any] = json.loads(text)
        severity = str(record.get("severity") or "").upper()
        return LogLine(
            time_unix_s=float(record["time_unix_s"]),
            service=str(record.get("service") or "?"),
            severity=_SEVERITIES.get(severity, severity or "?"),
            body=str(record.get("body") or "")[:LONGEST_BODY],
            trace_id=_id(record.get("trace_id")),
            span_id=_id(record.get("span_id")),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def lines_of(lines: Iterable[str], trace_ids: Container[str]) -> tuple[str, ...]:
    """Those of the lines, each as JSON, that belong to one of these traces, or to none."""
    read = ((text, read_line(text)) for text in lines)
    return tuple(
        text
        for text, line in read
        if line and (line.trace_id is None or line.trace_id in trace_ids)
    )


def _id(value: object) -> str | None:
    return value if isinstance(value, str) else None
