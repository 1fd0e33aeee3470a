"""Spans of this very process: what one test made, kept in memory and told from all others'."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Final
from weakref import WeakKeyDictionary

from opentelemetry import trace as otel
from opentelemetry.context import Context
from opentelemetry.sdk.trace import Event as OtelEvent
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace import Span as RunningSpan

from lab.domain.trace import AttributeValue, Event, Kind, Link, Span, Status
from lab.testing.source import TraceSet, by_trace, with_linked

_NOW: Final[ContextVar[RecordedSpans | None]] = ContextVar("lab_testing_recording", default=None)
"""The test on whose behalf this thread or task runs."""


class RecordedSpans:
    """What one test made: ``with RecordedSpans(provider) as spans:``, or the fixture ``spans``.

    A span belongs to the test in whose context it was started, else to the one whose trace it
    is of; what a test before left running stays out. ``provider`` is the one whose tracers are
    recorded: given, or the process's own, which is set where nobody set one.
    """

    patience_s = 0.0
    poll_s = 0.01

    def __init__(self, provider: TracerProvider | None = None) -> None:
        self.provider = provider or _of_this_process()
        self.is_over = False
        self._lock = threading.Lock()
        self._ended: list[ReadableSpan] = []
        self._converted: list[Span] = []
        self._resources: dict[int, Resource] = {}
        self._open: dict[int, RunningSpan] = {}
        self._outer: RecordedSpans | None = None

    def __enter__(self) -> RecordedSpans:
        """Begin: from here on spans are this test's."""
        self._outer = _NOW.get()
        _recorder_of(self.provider).begin(self)
        self.enter()
        return self

    def __exit__(self, *_: object) -> None:
        """End; what was recorded stays readable."""
        self.is_over = True
        _recorder_of(self.provider).end(self)
        # Not by a token: a fixture may be taken down in another context than it was set up in.
        _NOW.set(self._outer)

    def enter(self) -> None:
        """Say that the context one is in, such as a task's, is this test's as well."""
        _NOW.set(self)

    def tracer(self, name: str = "test") -> otel.Tracer:
        """A tracer of the recorded provider, for the test's own spans."""
        return self.provider.get_tracer(name)

    def look(self) -> TraceSet:
        """The spans that have ended so far; a trace with one that has not is unfinished."""
        with self._lock:
            new = self._ended[len(self._converted) :]
            self._converted += [converted(each, self._resources) for each in new]
            spans = tuple(self._converted)
            unfinished = {
                otel.format_trace_id(span.get_span_context().trace_id): f"{span.name!r} is open"
                for span in self._open.values()
            }
            callers = frozenset(
                otel.format_span_id(span.parent.span_id)
                for span in self._ended
                if span.parent and span.parent.is_remote
            )
        return TraceSet(
            with_linked(by_trace(spans)),
            unfinished,
            is_running=bool(unfinished),
            callers=callers,
        )

    def clear(self) -> None:
        """Forget what has ended so far: what a test did to get ready."""
        with self._lock:
            self._ended.clear()
            self._converted.clear()
            self._resources.clear()

    def save(self, path: str) -> None:
        """Keep what there is as OTLP/JSON, such as for a baseline (`from_file`)."""
        self.look().save(path)

    def started(self, span: RunningSpan) -> None:
        """A span of this test began."""
        with self._lock:
            self._open[span.get_span_context().span_id] = span

    def open_traces(self) -> frozenset[int]:
        """The ids of the traces that have a span which has not ended."""
        with self._lock:
            return frozenset(each.get_span_context().trace_id for each in self._open.values())

    def ended(self, span: ReadableSpan) -> bool:
        """Whether a span that ended is this test's; it is kept."""
        ids = span.get_span_context()
        assert ids is not None
        with self._lock:
            mine = self._open.pop(ids.span_id, None) is not None
            if mine:
                self._ended.append(span)
            return mine


class _Recorder(SpanProcessor):
    """The one processor that a provider gets: it stays, and gives each span to its test."""

    def __init__(self) -> None:
        self._tests: list[RecordedSpans] = []
        self._of_trace: dict[int, RecordedSpans] = {}

    def begin(self, test: RecordedSpans) -> None:
        self._tests.append(test)

    def end(self, test: RecordedSpans) -> None:
        self._tests.remove(test)
        # What still runs will have children; of all others nobody will ask.
        left = test.open_traces()
        for trace_id in [each for each, owner in self._of_trace.items() if owner is test]:
            if trace_id not in left:
                del self._of_trace[trace_id]

    def on_start(self, span: RunningSpan, parent_context: Context | None = None) -> None:  # noqa: ARG002
        trace_id = span.get_span_context().trace_id
        test = self._test_of(trace_id)
        if test is not None and not test.is_over:
            self._of_trace[trace_id] = test
            test.started(span)

    def _test_of(self, trace_id: int) -> RecordedSpans | None:
        here = _NOW.get()
        if here is not None and _RECORDERS.get(here.provider) is self:
            return here
        return self._of_trace.get(trace_id) or (self._tests[-1] if self._tests else None)

    def on_end(self, span: ReadableSpan) -> None:
        any(test.ended(span) for test in reversed(self._tests))


_RECORDERS: Final[WeakKeyDictionary[TracerProvider, _Recorder]] = WeakKeyDictionary()


def _recorder_of(provider: TracerProvider) -> _Recorder:
    recorder = _RECORDERS.get(provider)
    if recorder is None:
        recorder = _RECORDERS[provider] = _Recorder()
        provider.add_span_processor(recorder)
    return recorder


def _of_this_process() -> TracerProvider:
    """The provider of this process: the application's, or one that is set now, once for all."""
    found = otel.get_tracer_provider()
    if not isinstance(found, TracerProvider):
        found = TracerProvider()
        otel.set_tracer_provider(found)
    return found


Resource = Mapping[str, AttributeValue]

_KINDS: Final = {kind: Kind[kind.name] for kind in otel.SpanKind}
_STATUSES: Final = {code: Status[code.name] for code in otel.StatusCode}


def converted(span: ReadableSpan, resources: dict[int, Resource]) -> Span:
    """A span of the SDK as the domain has it.

    ``resources`` are those of spans before, by the identity of what the SDK has: a process has
    one, and its own equality costs more than all else here.
    """
    context = span.get_span_context()
    assert context is not None
    resource = resources.get(id(span.resource))
    if resource is None:
        resource = resources[id(span.resource)] = _attributes(span.resource.attributes)
    return Span(
        trace_id=otel.format_trace_id(context.trace_id),
        span_id=otel.format_span_id(context.span_id),
        parent_id=otel.format_span_id(span.parent.span_id) if span.parent else None,
        name=span.name,
        kind=_KINDS[span.kind],
        service=str(resource.get("service.name", "")),
        start_ns=span.start_time or 0,
        end_ns=span.end_time or 0,
        status=_STATUSES[span.status.status_code],
        status_message=span.status.description or "",
        attributes=_attributes(span.attributes),
        events=tuple(map(_event, span.events)),
        links=tuple(map(_link, span.links)),
        resource=resource,
    )


def _event(event: OtelEvent) -> Event:
    return Event(event.name, event.timestamp, _attributes(event.attributes))


def _link(link: otel.Link) -> Link:
    ids, attributes = link.context, _attributes(link.attributes)
    return Link(otel.format_trace_id(ids.trace_id), otel.format_span_id(ids.span_id), attributes)


def _attributes(found: Mapping[str, Any] | None) -> dict[str, AttributeValue]:
    return {key: _plain(value) for key, value in (found or {}).items()}


def _plain(value: Any) -> AttributeValue:
    if isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return tuple(map(_plain, value))
    return str(value)
