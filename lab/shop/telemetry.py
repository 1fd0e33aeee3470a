"""OpenTelemetry in one process of the shop: set up, annotate, count, flush.

Whether a service was started by ``opentelemetry-instrument`` or forked from the
shop's parent, it runs the same distro, configurator and instrumentors; what
differs is only who calls ``initialize``. Business spans are made where the
business is, with `tracer`.
"""

from __future__ import annotations

import importlib
import json
import logging
import threading
import time
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from opentelemetry import _logs, metrics, propagate, trace
from opentelemetry.instrumentation.auto_instrumentation import initialize
from opentelemetry.processor.baggage import BaggageSpanProcessor
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import (
    ReadableSpan,
    Span,
    SpanProcessor,
    TracerProvider,
    _TracerConfig,  # not public yet; the SDK's version is pinned
)
from opentelemetry.trace import SpanKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opentelemetry.context import Context
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

FLUSH_S: Final = 2.0
"""How long a service may take at its end to export what is left."""

_OWN: Final = "shop"
tracer = trace.get_tracer(_OWN)
meter = metrics.get_meter(_OWN)

_on_client_spans: ContextVar[Mapping[str, str | int] | None] = ContextVar(
    "on_client_spans", default=None
)


def libraries_only(scope: InstrumentationScope) -> _TracerConfig:
    """Make spans for the libraries' tracers and none for the shop's own.

    What would be their child hangs below the next span above that there is.
    """
    return _TracerConfig(is_enabled=scope.name != _OWN)


@contextmanager
def on_client_spans(attributes: Mapping[str, str | int]) -> Iterator[None]:
    """Put ``attributes`` on every CLIENT span that a library starts inside the block.

    The libraries' spans know an address and a port; only the caller knows whom
    it meant by them. Blocks nest; the inner one adds to the outer one.
    """
    token = _on_client_spans.set({**(_on_client_spans.get() or {}), **attributes})
    try:
        yield
    finally:
        _on_client_spans.reset(token)


class ClientSpanAttributes(SpanProcessor):
    """Does what `on_client_spans` promises."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002 -- the SDK passes it
        """Copy the declared attributes onto a CLIENT span."""
        attributes = _on_client_spans.get()
        if attributes and span.kind is SpanKind.CLIENT:
            span.set_attributes(attributes)


class SpanCounter(SpanProcessor):
    """Counts the sampled spans that ended, so that what a backend received can be checked.

    ``slot`` is eight bytes that may be shared with another process, which can
    then read the count after this one has died. Counting goes on from what the
    slot holds.
    """

    def __init__(self, slot: memoryview) -> None:
        self._slot = slot.cast("Q")
        self._lock = threading.Lock()

    @property
    def count(self) -> int:
        """How many sampled spans ended so far."""
        return int(self._slot[0])

    def on_end(self, span: ReadableSpan) -> None:
        """Count one span."""
        if span.context is not None and span.context.trace_flags.sampled:
            with self._lock:
                self._slot[0] += 1


def start(counter: SpanCounter) -> None:
    """Initialize this process's telemetry from its ``OTEL_*`` environment.

    Must run before the service's module is imported. Under
    ``opentelemetry-instrument`` the providers exist already and stay.
    """
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        # It reads OTEL_PROPAGATORS once, at import, which in a forked process
        # was before that process had an environment of its own.
        importlib.reload(propagate)
        initialize(swallow_exceptions=False)
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        provider.add_span_processor(BaggageSpanProcessor(lambda key: key == "tenant_id"))
        provider.add_span_processor(ClientSpanAttributes())
        provider.add_span_processor(counter)


def flush() -> None:
    """Export what is left and shut the three providers down, within `FLUSH_S`.

    Called at the end of the lifespan: uvicorn raises SIGTERM again after it, so
    ``atexit`` never runs, and with it whatever the last batch held would be lost.
    Side by side, for when nobody listens each tries until its own limit.
    """
    providers = (
        trace.get_tracer_provider(),
        metrics.get_meter_provider(),
        _logs.get_logger_provider(),
    )
    ends = [
        threading.Thread(target=provider.shutdown, daemon=True)
        for provider in providers
        if isinstance(provider, TracerProvider | MeterProvider | LoggerProvider)
    ]
    deadline_s = time.monotonic() + FLUSH_S
    for end in ends:
        end.start()
    for end in ends:
        end.join(max(0.0, deadline_s - time.monotonic()))


def log_as_json() -> None:
    """Write every log record as one JSON line, with its trace and span id, to stderr.

    The OTLP handler that auto-instrumentation put on the root logger stays. Only
    OpenTelemetry's own records do not reach it: a failed export of logs would
    be one more log to export.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonFormatter())
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    exporters = logging.getLogger("opentelemetry")
    exporters.addHandler(handler)
    exporters.propagate = False
    for talkative in _TALKATIVE:
        logging.getLogger(talkative).setLevel(logging.WARNING)


_TALKATIVE: Final = ("httpx", "httpcore", "asyncpg", "uvicorn")
"""At INFO httpx prints the address of every call, which says more than the shop should."""


class _JsonFormatter(logging.Formatter):
    """One JSON object a record. By hand: a logging library would add a tenth to the start."""

    def format(self, record: logging.LogRecord) -> str:
        """Time in UTC, level, logger, message, and ids while a span is current."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            line["trace_id"] = trace.format_trace_id(context.trace_id)
            line["span_id"] = trace.format_span_id(context.span_id)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def support_code() -> str:
    """The id of the trace this request belongs to: all a customer needs to tell us."""
    return trace.format_trace_id(trace.get_current_span().get_span_context().trace_id)
