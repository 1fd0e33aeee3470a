"""A dossier as a file: what a benchmark's task holds, since a case file has the truth inside."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from lab.adapters.otlp.traces import read_traces, trace_to_otlp
from lab.domain.evidence import Evidence, Interval, Sample
from lab.domain.load import Request, Window
from lab.domain.trace import Trace
from lab.errors import UsageError
from lab.investigation.reading.requests import WINDOW_WORDS
from lab.mcp.dossier import Dossier

FORMAT: Final = "deadspan-task-1"
_WINDOW_OF: Final = {word: window for window, word in WINDOW_WORDS.items()}


def to_document(dossier: Dossier) -> dict[str, Any]:
    """The dossier as a task file holds it; traces as OTLP/JSON, one document each.

    Of why a trace was kept only this is told: whether usual durations are computed from it.
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


def document_of(path: Path) -> dict[str, Any]:
    """What a task file holds; UsageError where it cannot be read."""
    try:
        found: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    except (OSError, EOFError, ValueError) as error:
        raise _unreadable(path) from error
    return found


def read(path: Path) -> Dossier:
    """The dossier of a task file; UsageError where it is none."""
    try:
        return of_document(document_of(path))
    except (ValueError, KeyError, TypeError) as error:
        raise _unreadable(path) from error


def _unreadable(path: Path) -> UsageError:
    return UsageError(
        f"expected {path} to be a task file of `lab bench export`, found that it cannot be read"
    )


def of_document(document: Mapping[str, Any]) -> Dossier:
    """What `to_document` made of a dossier; KeyError or ValueError for anything else."""
    if document["format"] != FORMAT:
        raise ValueError(document["format"])
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
    by_sample: dict[Sample, list[str]] = {Sample.REFERENCE: list(document["usual"])}
    usual = frozenset(document["usual"])
    for trace_id in (each for each in traces if each not in usual):
        window = window_of.get(trace_id)
        others = Sample.OTHERS_BEFORE if window is Window.REFERENCE else Sample.OTHERS
        by_sample.setdefault(Sample.JOINED if window is None else others, []).append(trace_id)
    return {sample: tuple(ids) for sample, ids in by_sample.items()}


def _request_row(of: Request) -> list[Any]:
    edge = (WINDOW_WORDS[of.window], of.start_s, of.latency_ms, of.route, of.tenant, of.status)
    return [*edge, of.trace_id, of.answer_bytes]


def _request(row: list[Any]) -> Request:
    word, start_s, latency_ms, route, *rest = row
    return Request(_WINDOW_OF[word], start_s, start_s, latency_ms, "", route, *rest)
