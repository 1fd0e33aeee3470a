"""The traces of a sealed case, each read when somebody asks for it.

A case keeps hundreds, and whoever looks at one of them waits for no other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from pydantic_core import from_json

from lab.adapters.bounds import MOST_GROUPS_OF_A_TRACE, MOST_SPANS, MOST_TRACES
from lab.adapters.cases.json_lines import whole_lines
from lab.adapters.cases.noted_traces import NOTED, note_traces, noted_trace, noted_traces
from lab.adapters.cases.own_note import sha256_of
from lab.adapters.cases.own_spelling import read_as_written
from lab.adapters.cases.strict_reading import damaged
from lab.adapters.otlp.fields import MalformedOtlpError, parse
from lab.adapters.otlp.traces import DEEPEST_TRACE, assemble, read_traces
from lab.adapters.otlp.traces import MOST_SPANS as MOST_SPANS_OF_A_LINE
from lab.domain.trace import Span, Trace

_TRACE_ID: Final = re.compile(r'"traceId": ?"([0-9a-f]{32})"')
_HEAD: Final = '{"resourceSpans": ['
_NEXT: Final = ', {"resource": {"attributes": '
"""Between two groups, as a case has them; in no string, where a quote would be escaped."""

_PART: Final = 2**18
"""Characters of a line that are parsed at once: the objects of JSON take many times the place."""


class TracesOnDisk(Mapping[str, Trace]):
    """Trace id → trace, over a file with a trace a line, as a case is sealed with.

    They come from the note of them where there is one, and are noted once all were read.
    """

    def __init__(self, path: Path, traces_sha256: str) -> None:
        self._path, self._sha256 = path, traces_sha256
        self._unread: dict[str, tuple[int, str]] = {}
        self._read: dict[str, Trace] = {}
        noted = noted_traces(path.parent, traces_sha256)
        self._noted = noted or {}
        for number, line in whole_lines(path) if noted is None else ():
            named = frozenset(_TRACE_ID.findall(line))
            if len(named) == 1:
                self._unread[min(named)] = number, line
            else:
                # Brought from elsewhere: several traces in a line, or ids in base64.
                self._read |= traces_of_line(path, number, line)
        self._ids = dict.fromkeys((*self._noted, *self._unread, *self._read))

    def __getitem__(self, trace_id: str) -> Trace:
        """The trace; CaseDamaged where its line is none."""
        if trace_id not in self._read:
            if trace_id in self._noted:
                self._read[trace_id] = _as_noted(self._path, self._noted[trace_id])
            else:
                self._read_line(*self._unread[trace_id])
        return self._read[trace_id]

    def _read_line(self, number: int, line: str) -> None:
        self._read |= traces_of_line(self._path, number, line)
        if self._read.keys() == self._ids.keys():
            # In the order of the file, whatever was asked for first.
            _note(self._path, {each: self._read[each] for each in self._ids}, self._sha256)

    def __contains__(self, trace_id: object) -> bool:
        """Whether there is such a trace; reads none."""
        return trace_id in self._ids

    def __iter__(self) -> Iterator[str]:
        """The ids of all."""
        return iter(self._ids)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._ids)


def all_traces(path: Path, traces_sha256: str) -> dict[str, Trace]:
    """All traces of a sealed file; CaseDamaged for one that is none, or more than a case may hold.

    They are read from the note of them where there is one, and are noted else.
    """
    noted = noted_traces(path.parent, traces_sha256)
    if noted is not None:
        return {trace_id: _as_noted(path, told) for trace_id, told in noted.items()}
    traces = {key: trace for _, _, found in bounded_lines(path) for key, trace in found.items()}
    _note(path, traces, traces_sha256)
    return traces


def _note(path: Path, traces: Mapping[str, Trace], traces_sha256: str) -> None:
    with suppress(OSError):  # They are read without a note, only more slowly.
        if sha256_of(path) == traces_sha256:  # It was; what was read since may be something else.
            note_traces(path.parent, traces, traces_sha256)


def _as_noted(path: Path, told: memoryview) -> Trace:
    try:
        return noted_trace(told)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise damaged(path.with_name(NOTED), "traces as the lab notes them") from error


def traces_of_line(path: Path, number: int, line: str) -> dict[str, Trace]:
    """The traces of one line of ``path``; CaseDamaged where it is no OTLP/JSON."""
    try:
        return _in_parts(line) or _read(line)
    except MalformedOtlpError as error:
        raise damaged(path, f"a trace as OTLP/JSON in line {number} ({error})") from error


def _in_parts(line: str) -> dict[str, Trace]:
    """The traces of a long line, read without ever holding all of its JSON.

    Nothing where it is short, or anything is wrong: who sees the whole says what.
    """
    spans: dict[str, list[Span]] = {}
    try:
        for part in _parts(line):
            for trace_id, trace in _read(part).items():
                spans.setdefault(trace_id, []).extend(trace.spans)
    except MalformedOtlpError:
        return {}
    traces = {trace_id: assemble(trace_id, found) for trace_id, found in spans.items()}
    count = sum(len(found) for found in spans.values())
    deepest = max((trace.depth for trace in traces.values()), default=0)
    return traces if count <= MOST_SPANS_OF_A_LINE and deepest <= DEEPEST_TRACE else {}


def _parts(line: str) -> Iterator[str]:
    is_long = len(line) > 2 * _PART and line.startswith(_HEAD)
    if not is_long or line.count(_NEXT) >= MOST_GROUPS_OF_A_TRACE:
        return
    start = len(_HEAD)
    while (end := line.find(_NEXT, start + _PART)) >= 0:
        yield f"{_HEAD}{line[start:end]}]}}"
        start = end + len(", ")
    yield _HEAD + line[start:]


def _read(text: str) -> dict[str, Trace]:
    document = _json(text)
    return read_as_written(document) or read_traces(document)


def _json(line: str) -> Any:
    """The value of the line, by a parser that takes half the time of Python's.

    What it will not have is Python's to read, or to say what is wrong with it.
    """
    try:
        return from_json(line)
    except ValueError:
        return parse(line)


def bounded_lines(path: Path) -> Iterator[tuple[int, int, dict[str, Trace]]]:
    """Each line's first byte, its length and its traces.

    CaseDamaged for a line that is no OTLP/JSON, and for more than one case may hold.
    """
    if not path.is_file():
        return
    ids = set[str]()
    spans = at = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.endswith(b"\n") and line.strip():
                found = traces_of_line(path, number, line.decode(errors="replace"))
                ids.update(found)
                spans += sum(len(trace.spans) for trace in found.values())
                if len(ids) > MOST_TRACES or spans > MOST_SPANS:
                    raise damaged(
                        path,
                        f"at most {MOST_TRACES} traces and {MOST_SPANS} spans, "
                        f"found {len(ids)} and {spans} by line {number}",
                    )
                yield at, len(line), found
            at += len(line)
