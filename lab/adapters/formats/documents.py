"""What a JSON value is, and the spans in it: OTLP in any wrapping, Jaeger's, Zipkin's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from lab.adapters.formats.found import Account, Found, Skipped
from lab.adapters.formats.jaeger_json import is_jaeger, jaeger_spans
from lab.adapters.formats.json_pieces import (
    CONTEXT,
    GROUPS,
    SCHEMA_URLS,
    SPANS,
    WRAPPERS,
    Damage,
    Path,
    Piece,
)
from lab.adapters.formats.zipkin import is_zipkin, zipkin_span
from lab.adapters.otlp import fields
from lab.adapters.otlp.fields import MalformedOtlpError
from lab.adapters.otlp.traces import group_spans
from lab.domain.trace import Span

_DEEPEST: Final = 8
_SCOPE_FIELDS: Final = frozenset(
    {"scopeSpans", "scope_spans", "instrumentationLibrarySpans", "instrumentation_library_spans"}
)

_INSTEAD: Final = "export by OTLP instead, to a Collector with the file exporter"
_NO_TRACES: Final[tuple[tuple[frozenset[str], str], ...]] = (
    (frozenset({"resourceLogs"}), "OTLP logs, which are no traces"),
    (frozenset({"resource_logs"}), "OTLP logs, which are no traces"),
    (frozenset({"resourceMetrics"}), "OTLP metrics, which are no traces"),
    (frozenset({"resource_metrics"}), "OTLP metrics, which are no traces"),
    (frozenset({"resourceProfiles"}), "OTLP profiles, which are no traces"),
    (
        frozenset({"traceId", "annotations", "binaryAnnotations"}),
        "Zipkin's JSON of version 1; ask its API for version 2 (`/api/v2/traces`)",
    ),
    (
        frozenset({"context", "parent_id", "start_time"}),
        f"what Python's ConsoleSpanExporter prints; {_INSTEAD}",
    ),
    (frozenset({"SpanContext", "StartTime"}), f"what Go's stdouttrace prints; {_INSTEAD}"),
    (
        frozenset({"traceID", "spanID", "operationName"}),
        "a span of Jaeger's without its trace; download the whole trace as JSON",
    ),
    (
        frozenset({"traces", "metrics"}),
        "what Tempo's search answers, which has no spans; `lab import --tempo URL` fetches them",
    ),
    (frozenset({"streams"}), "logs of Loki's"),
    (frozenset({"traceEvents"}), "a profile of Chrome's tracing"),
)
"""Fields by which one knows what is no trace → its name, and what to do."""

_EXPECTED: Final = "expected OTLP, Jaeger's or Zipkin's JSON"


class Documents:
    """The spans of the pieces of one file.

    ``only_otlp`` where somebody said so: other formats are then skipped by their name.
    """

    def __init__(self, name: str, account: Account, *, only_otlp: bool = False) -> None:
        self._name = name
        self._account = account
        self._only_otlp = only_otlp
        self._context: dict[Path, dict[str, Any]] = {}

    def spans(self, pieces: Iterable[Piece | Damage]) -> Iterator[Found]:
        """Every span; in place of what could not be read, where it was and why."""
        for piece in pieces:
            if isinstance(piece, Damage):
                yield self._skipped(piece.line, _label(piece.path), piece.why, is_span=False)
                continue
            for found in self._of(piece):
                if isinstance(found, MalformedOtlpError):
                    yield self._skipped(piece.line, found.where, found.why)
                elif isinstance(found, _NotTraces):
                    yield self._skipped(piece.line, found.where, found.why, is_span=False)
                else:
                    yield found

    def _skipped(self, line: int, where: str, why: str, *, is_span: bool = True) -> Skipped:
        return Skipped(self._name, line, where, why, is_span)

    def _of(self, piece: Piece) -> Iterator[Span | MalformedOtlpError | _NotTraces]:
        words = [each for each in piece.path if isinstance(each, str) and each not in WRAPPERS]
        at = _label(piece.path)
        if not words:
            yield from self._document(piece.value, at)
        elif words[-1] in CONTEXT | SCHEMA_URLS:
            self._context.setdefault(piece.path[:-1], {})[words[-1]] = piece.value
        elif words[-1] == SPANS:
            yield from self._span(piece, at)
        elif words[-1] in _SCOPE_FIELDS:
            yield from self._group({**self._resource(piece.path), words[-1]: [piece.value]}, at)
        else:
            yield from self._each(piece.value, at, self._group)

    def _span(self, piece: Piece, at: str) -> Iterator[Span | MalformedOtlpError]:
        """One span of a group that was too large, or too damaged, to be read as one."""
        owner = next(n for n, each in enumerate(piece.path) if each == SPANS)
        scope = self._context.get(piece.path[:owner], {})
        listed = piece.value if isinstance(piece.value, list) else [piece.value]
        group = {
            **self._resource(piece.path),
            "scopeSpans": [{**scope, "spans": listed}],
        }
        for found in group_spans(group, at):
            if isinstance(found, MalformedOtlpError):
                found.where = found.where.replace(f"{at}.scopeSpans[0].spans[0]", at)
            yield found

    def _resource(self, path: Path) -> dict[str, Any]:
        """The resource of the group in which ``path`` lies, as it was read before."""
        for length in range(len(path), 0, -1):
            if "resource" in (found := self._context.get(path[:length], {})):
                return dict(found)
        self._account.remark("span whose service was told only behind it, so that it has none")
        return {}

    def _document(
        self, value: Any, at: str, depth: int = 0
    ) -> Iterator[Span | MalformedOtlpError | _NotTraces]:
        if isinstance(value, list) and depth < _DEEPEST:
            for n, each in enumerate(value):
                yield from self._document(each, f"{at}[{n}]", depth + 1)
            return
        if not isinstance(value, dict):
            yield _NotTraces(at, f"{_EXPECTED}, found {_shown(value)}")
            return
        told = False
        for found in self._of_object(value, at, depth):
            told = True
            yield found
        if not told and not _is_empty(value):
            yield _NotTraces(at, _what_else(value))

    def _of_object(
        self, value: Mapping[str, Any], at: str, depth: int
    ) -> Iterator[Span | MalformedOtlpError | _NotTraces]:
        inner = f"{at}." if at else ""
        if is_jaeger(value):
            yield from self._unless_only_otlp(jaeger_spans(value, at), at, "a trace of Jaeger's")
            return
        if is_zipkin(value) and "binaryAnnotations" not in value:
            one = _tried(lambda: zipkin_span(value, at))
            yield from self._unless_only_otlp(one, at, "a span of Zipkin's")
            return
        if value.keys() & _SCOPE_FIELDS:
            yield from self._group(value, at)
            return
        for key in value.keys() & GROUPS:
            yield from self._each(value[key], f"{inner}{key}", self._group)
        if depth < _DEEPEST:
            for key in value.keys() & WRAPPERS:
                if isinstance(value[key], dict | list):
                    yield from self._document(value[key], f"{inner}{key}", depth + 1)

    def _unless_only_otlp(
        self, found: Iterator[Span | MalformedOtlpError], at: str, what: str
    ) -> Iterator[Span | MalformedOtlpError | _NotTraces]:
        if self._only_otlp:
            yield _NotTraces(at, f"expected OTLP, found {what}; leave --otlp out to read it")
        else:
            yield from found

    def _each(
        self,
        value: Any,
        at: str,
        read: Callable[[Any, str], Iterator[Span | MalformedOtlpError]],
    ) -> Iterator[Span | MalformedOtlpError]:
        if isinstance(value, list):
            for n, each in enumerate(value):
                yield from read(each, f"{at}[{n}]")
        elif value is not None:
            yield from read(value, at)

    def _group(self, value: Any, at: str) -> Iterator[Span | MalformedOtlpError]:
        try:
            yield from group_spans(fields.message(value, at), at)
        except MalformedOtlpError as error:
            yield error


class _NotTraces:
    """A value that is no trace, and what it is."""

    def __init__(self, where: str, why: str) -> None:
        self.where = where
        self.why = why


def _tried(read: Callable[[], Span]) -> Iterator[Span | MalformedOtlpError]:
    try:
        yield read()
    except MalformedOtlpError as error:
        yield error


def _is_empty(value: Mapping[str, Any]) -> bool:
    """Whether it is a document of traces with none in it."""
    held = [value[key] for key in value.keys() & (GROUPS | WRAPPERS | _SCOPE_FIELDS)]
    return bool(held) or not value


def _what_else(value: Mapping[str, Any]) -> str:
    known = (name for fields_of, name in _NO_TRACES if fields_of <= value.keys())
    other = f"an object with {_shown(sorted(map(str, value))[:6])}"
    if "errors" in value or "error" in value:
        other = f"the error of a backend: {_shown(value)}"
    return f"{_EXPECTED}, found {next(known, other)}"


def _shown(value: Any) -> str:
    return ascii(str(value)[:80])[1:-1]


def _label(path: Path) -> str:
    text = "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in path)
    return text.lstrip(".")
