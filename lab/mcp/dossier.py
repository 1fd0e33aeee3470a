"""A case as an agent may see it: telemetry and a briefing, without truth, decoys or hints.

The tools know nothing else, so what is not in here no answer can tell. As a file (a *task file*)
it is what a benchmark's task holds instead of a case file, which has the truth inside.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from lab.adapters.otlp.traces import read_traces, trace_to_otlp
from lab.domain.evidence import Evidence, Interval, Sample
from lab.domain.load import Request, Window
from lab.domain.trace import Trace
from lab.errors import UsageError
from lab.investigation.reading.logs import LogLine, read_logs
from lab.investigation.reading.requests import WINDOW_WORDS

FORMAT: Final = "deadspan-task-1"

_WINDOW_OF: Final = {word: window for window, word in WINDOW_WORDS.items()}


@dataclass(frozen=True)
class Dossier:
    """``briefing`` is Markdown; ``evidence`` has no joins, no records, and no reasons to keep."""

    case_id: str
    title: str
    briefing: str
    asks_scope: bool
    evidence: Evidence

    @cached_property
    def lines(self) -> tuple[LogLine, ...]:
        """The log lines, in order of time."""
        return read_logs(self.evidence, self.evidence.logs)

    @cached_property
    def requests(self) -> Mapping[str, Request]:
        """Trace id → the request, of the windows that have a word."""
        return {
            each.trace_id: each for each in self.evidence.requests if each.window in WINDOW_WORDS
        }

    @cached_property
    def traces(self) -> tuple[Trace, ...]:
        """Every trace that is kept, in order of time."""
        found = (trace for trace in self.evidence.traces.values() if trace.spans)
        return tuple(sorted(found, key=lambda each: (each.spans[0].start_ns, each.trace_id)))

    def period(self, trace: Trace) -> str | None:
        """``before``, ``incident`` or ``after``; None between two of them."""
        request = self.requests.get(trace.trace_id)
        if request is not None:
            return WINDOW_WORDS[request.window]
        start_s = trace.spans[0].start_ns / 1e9
        inside = (w for w, each in self.evidence.windows.items() if start_s in each)
        return next((WINDOW_WORDS[each] for each in inside if each in WINDOW_WORDS), None)


def bare(evidence: Evidence) -> Evidence:
    """The evidence less what its scenario searched for or counted."""
    return Evidence(
        evidence.windows,
        evidence.requests,
        evidence.samples,
        evidence.traces,
        logs=evidence.logs,
    )


def moment(unix_s: float) -> str:
    """RFC 3339, in UTC, to the microsecond."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def to_document(dossier: Dossier) -> dict[str, Any]:
    """The dossier as a task file holds it; traces as OTLP/JSON, one document each.

    Of the reasons for which a trace was kept only this is told: whether usual durations are
    computed from it, and whether no request began it.
    """
    evidence = dossier.evidence
    kept = set(evidence.traces)
    return {
        "format": FORMAT,
        "case_id": dossier.case_id,
        "title": dossier.title,
        "briefing": dossier.briefing,
        "asks_scope": dossier.asks_scope,
        "windows": {
            word: [evidence.windows[w].start_s, evidence.windows[w].end_s]
            for w, word in WINDOW_WORDS.items()
            if w in evidence.windows
        },
        "requests": [_request_row(each) for each in dossier.requests.values()],
        "usual": [each for each in evidence.samples.get(Sample.REFERENCE, ()) if each in kept],
        "traces": [trace_to_otlp(each) for each in dossier.traces],
        "logs": list(evidence.logs),
    }


def write(dossier_document: Mapping[str, Any], path: Path) -> None:
    """Write a task file; the same document is the same bytes."""
    text = json.dumps(dossier_document, separators=(",", ":"), ensure_ascii=False)
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


def read(path: Path) -> Dossier:
    """The dossier of a task file; UsageError where it is none."""
    try:
        document = json.loads(gzip.decompress(path.read_bytes()))
        if document["format"] != FORMAT:
            raise UsageError(f"expected {path} to be a {FORMAT}, found {document['format']!r}")
        return of_document(document)
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"expected {path} to be a task file of `lab bench export`, found that it cannot be "
            f"read ({type(error).__name__}); export the task anew"
        ) from error


def of_document(document: Mapping[str, Any]) -> Dossier:
    """What `to_document` made of a dossier; KeyError or ValueError for anything else."""
    traces: dict[str, Trace] = {}
    for each in document["traces"]:
        traces |= read_traces(each)
    requests = tuple(map(_request, document["requests"]))
    evidence = Evidence(
        windows={_WINDOW_OF[word]: Interval(*ends) for word, ends in document["windows"].items()},
        requests=requests,
        samples=_samples(document, traces, {each.trace_id: each.window for each in requests}),
        traces=traces,
        logs=tuple(document["logs"]),
    )
    told = {key: document[key] for key in ("case_id", "title", "briefing", "asks_scope")}
    return Dossier(**told, evidence=evidence)


def _samples(
    document: Mapping[str, Any], traces: Mapping[str, Trace], window_of: Mapping[str, Window]
) -> Mapping[Sample, tuple[str, ...]]:
    """Every trace in the one sample that says least of it."""
    usual = frozenset(document["usual"])
    by_sample: dict[Sample, list[str]] = {Sample.REFERENCE: list(document["usual"])}
    for trace_id in traces:
        if trace_id in usual:
            continue
        window = window_of.get(trace_id)
        others = Sample.OTHERS_BEFORE if window is Window.REFERENCE else Sample.OTHERS
        by_sample.setdefault(Sample.JOINED if window is None else others, []).append(trace_id)
    return {sample: tuple(ids) for sample, ids in by_sample.items()}


def _request_row(request: Request) -> list[Any]:
    return [
        *(WINDOW_WORDS[request.window], request.start_s, request.latency_ms, request.route),
        *(request.tenant, request.status, request.trace_id, request.answer_bytes),
    ]


def _request(row: list[Any]) -> Request:
    word, start_s, latency_ms, route, tenant, status, trace_id, answer_bytes = row
    window = _WINDOW_OF[word]
    return Request(
        *(window, start_s, start_s, latency_ms, "", route, tenant, status, trace_id, answer_bytes)
    )


def spans_said(dossier: Dossier) -> Iterator[str]:
    """Every attribute that spans carry, as ``span.<key>`` or ``resource.<key>``, each once."""
    found = {f"span.{key}" for trace in dossier.traces for span in trace for key in span.attributes}
    of = {f"resource.{key}" for trace in dossier.traces for span in trace for key in span.resource}
    yield from sorted(found | of)
