"""Which format a source is in, by its content; and the spans in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO
from typing import Final

from lab.adapters.formats import protobuf
from lab.adapters.formats.documents import Documents
from lab.adapters.formats.found import Account, Found, Skipped
from lab.adapters.formats.json_pieces import JsonPieces
from lab.adapters.formats.source import ZSTD, Content
from lab.adapters.otlp.fields import MalformedOtlpError

ZIP: Final = b"PK\x03\x04"
"""What a case file begins with."""

_BINARY: Final = re.compile(rb"[\x00-\x08\x0e-\x1d\x1f]")
_OTHERS: Final[tuple[tuple[re.Pattern[bytes], str], ...]] = (
    (re.compile(rb"<(?:!doctype\s+html|html)", re.IGNORECASE), "an HTML page, maybe one to log in"),
    (re.compile(rb"<"), "XML"),
    (re.compile(rb"SQLite format 3"), "a database of SQLite"),
    (re.compile(rb"PAR1"), "a Parquet file"),
    (
        re.compile(rb"(?s).*(?:ResourceSpans #\d|Span #\d+\s|Trace ID\s+: )"),
        "what the Collector's debug exporter prints; give it a file exporter",
    ),
    (
        re.compile(rb"(?s).*(?:Activity\.TraceId:|Activity\.Id:)"),
        "what .NET's console exporter prints; export by OTLP instead",
    ),
    (
        re.compile(rb"(?s).*(?:LoggingSpanExporter|\[tracer: )"),
        "what Java's LoggingSpanExporter prints; `otlp-stdout` or OTLP is read",
    ),
    (re.compile(rb"[^\n{}]*,[^\n{}]*,[^\n]*\r?\n"), "a table (CSV)"),
    (re.compile(rb"[^\n{}]*\t[^\n{}]*\t[^\n]*\r?\n"), "a table (TSV)"),
)
_JAVASCRIPT: Final = re.compile(rb"\{\s*(?:resource|traceId|instrumentationScope|name):\s")
_EXPECTED: Final = "expected traces (OTLP as JSON or protobuf, Jaeger's or Zipkin's JSON)"


def found_in(content: Content, account: Account, *, only_otlp: bool = False) -> Iterator[Found]:
    """Every span of the source; in place of what could not be read, where it was and why."""
    account.files += 1
    line = 1
    while (sample := content.peek()) and not sample.strip():
        line += content.exactly(len(sample)).count(b"\n")
    if not sample:
        why = f"{_EXPECTED}, found nothing" + (f"; it {content.torn}" if content.torn else "")
        yield Skipped(content.name, None, "", why, is_span=False)
        return
    if _is_binary(sample):
        yield from _protobuf(content, account, sample, only_otlp=only_otlp)
    elif (what := _no_json(sample)) is not None:
        yield Skipped(content.name, None, "", f"{_EXPECTED}, found {what}", is_span=False)
        return
    else:
        pieces = JsonPieces(content.name, content, line)
        yield from Documents(content.name, account, only_otlp=only_otlp).spans(pieces)
    if content.torn:
        yield Skipped(content.name, None, "", f"what is packed {content.torn}", is_span=False)


def _is_binary(sample: bytes) -> bool:
    return _BINARY.search(sample) is not None or not _is_text(sample)


def _is_text(sample: bytes) -> bool:
    try:
        sample.decode()
    except UnicodeDecodeError as error:
        # The sample may end in the middle of a character; a byte may be damaged.
        return error.start >= len(sample) - 3 or sample.lstrip()[:1] in (b"{", b"[")
    return True


def _no_json(sample: bytes) -> str | None:
    """What a text is that is no JSON; None where it may be some."""
    text = sample.lstrip()
    if text[:1] in (b"{", b"[", b"\x1e"):
        if _JAVASCRIPT.match(text):
            return "what JavaScript's ConsoleSpanExporter prints; export by OTLP instead"
        return None
    for pattern, what in _OTHERS:
        if pattern.match(text):
            return what
    return None if b"\n{" in sample else f"text: {text[:40].decode('latin-1')!a}"


def _protobuf(
    content: Content, account: Account, sample: bytes, *, only_otlp: bool
) -> Iterator[Found]:
    if sample[:1] == b"\x0a" and not _is_prefixed(sample):
        yield from _of_message(content, content.name, "")
        return
    if sample.startswith(ZIP) or not _is_prefixed(sample):
        what = "a zip" if sample.startswith(ZIP) else "something binary"
        yield Skipped(
            content.name,
            None,
            "",
            f"{_EXPECTED}, found {what}; unpack or convert it",
            is_span=False,
        )
        return
    for number, message in enumerate(protobuf.messages(content)):
        name = f"message[{number}]"
        if isinstance(message, MalformedOtlpError):
            yield Skipped(content.name, None, message.where, message.why, is_span=False)
        elif message[:1] == b"{":
            pieces = JsonPieces(content.name, BytesIO(message))
            yield from Documents(content.name, account, only_otlp=only_otlp).spans(pieces)
        else:
            yield from _of_message(Content(content.name, BytesIO(message)), content.name, name)


def _is_prefixed(sample: bytes) -> bool:
    """Whether four bytes of length come first: of a message, of JSON, or of either packed."""
    size = int.from_bytes(sample[:4], "big")
    return 0 <= size <= protobuf.MOST_MESSAGE_BYTES and (
        sample[4:5] in (b"\x0a", b"{") or sample[4:8] == ZSTD or (not size and len(sample) >= 4)
    )


def _of_message(content: Content, name: str, at: str) -> Iterator[Found]:
    for each in protobuf.groups(content):
        if isinstance(each, MalformedOtlpError):
            where = f"{at}.{each.where}".lstrip(".")
            yield Skipped(name, None, where, each.why, is_span=False)
            continue
        group, number = each
        for span in protobuf.group_spans(group, f"{at}.resourceSpans[{number}]".lstrip(".")):
            if isinstance(span, MalformedOtlpError):
                yield Skipped(name, None, span.where, span.why)
            else:
                yield span
