"""Spans that are in a file: OTLP/JSON, as `TraceSet.save` and the Collector write it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

from lab.adapters.otlp.traces import read_traces
from lab.errors import CaseError
from lab.testing.source import TraceSet


def from_file(path: Path | str) -> TraceSet:
    """The spans of a file of OTLP/JSON: one document, or one a line; gzip is unpacked.

    CaseError where it cannot be read.
    """
    file = Path(path)
    try:
        content = file.read_bytes()
        text = (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).decode()
        spans = [
            span
            for each in _documents(text)
            for trace in read_traces(each).values()
            for span in trace.spans
        ]
    except (OSError, EOFError, ValueError) as error:
        raise CaseError(f"{file}: expected OTLP/JSON, found: {error}") from error
    return TraceSet.of_spans(spans)


def _documents(text: str) -> Iterator[object]:
    """The JSON documents of ``text``, one after another."""
    decoder, position = json.JSONDecoder(), 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        document, position = decoder.raw_decode(text, position)
        yield document
