"""Tasks made of recorded cases by stated transformations, each with its answer.

Of every case come four tasks: the case itself, a variant of it, and of each a *healthy twin*, in
which the same message came in and nobody did anything. ``docs/benchmark.md`` states what is done to
the telemetry; a seed decides all of it.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain
from typing import Any, Final

from lab.bench.grading import FORMAT
from lab.domain.case import Case
from lab.domain.evidence import Evidence, Interval, Sample, read_line
from lab.domain.load import Request, Window
from lab.domain.trace import Span, Trace
from lab.domain.verdict import VerdictClass
from lab.frozen import dataclass
from lab.investigation.solving.briefing import briefing
from lab.investigation.solving.judge import Trial
from lab.mcp.dossier import Dossier, bare
from lab.mcp.task_file import to_document

KEPT_OF_A_VARIANT: Final = 0.6
"""Share of the traces."""

PUBLIC_SEED: Final = 1
"""Of the split that everybody may have; whoever holds one back takes a seed that nobody knows."""

KINDS: Final = ("recorded", "recorded healthy", "variant", "variant healthy")
"""The tasks of a case, in their order."""

NAMES: Final = (
    *("agate", "basalt", "beryl", "chert", "dolomite", "feldspar", "flint", "gabbro", "garnet"),
    *("gneiss", "granite", "gypsum", "jasper", "marble", "mica", "obsidian", "olivine", "onyx"),
    *("pumice", "quartz", "shale", "slate", "topaz", "zircon"),
)
"""What services are called in a variant."""

_ID: Final = re.compile(r"(?<![0-9a-f])(?:[0-9a-f]{32}|[0-9a-f]{16})(?![0-9a-f])")
_NANOS: Final = re.compile(r'(imeUnixNano": ")([1-9]\d+)"')

Document = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """What an agent gets (``document``), and what only the grader has (``answer``)."""

    task_id: str
    level: int
    document: Document
    answer: Document


def tasks_of(case: Case, seed: int) -> Iterator[Task]:
    """The four tasks of a case; the same whenever they are made."""
    answer = answer_of(case)
    for kind in KINDS:
        yield _task(case, answer, kind, seed)


def _task(case: Case, answer: Document, kind: str, seed: int) -> Task:
    salt = hashlib.sha256(f"{seed} {case.scenario.id} {kind}".encode()).hexdigest()
    dice = random.Random(salt)  # noqa: S311 -- whoever knows the seed may know all of it
    evidence = _calm(case.evidence) if kind.endswith("healthy") else _until_it_ended(case.evidence)
    told = briefing(case)
    oracle = _oracle(answer, case.evidence) if not kind.endswith("healthy") else None
    if case.support_code is not None and case.support_code not in evidence.traces:
        told = told.replace(case.support_code, _some_customer(evidence, case))
    if kind.startswith("variant"):
        needed = {trace for trace, _ in (oracle or {}).get("spans", ())}
        evidence = _thinned(evidence, needed | set(_ID.findall(told)), dice)
    task_id = f"task-{salt[:12]}"
    dossier = Dossier(task_id, case.title, told, case.scenario.asks_scope, bare(evidence))
    document = to_document(dossier)
    graded = _nobodys(answer) if oracle is None else answer | {"oracle": oracle}
    change = _Change(salt, document, dice, evidence if kind.startswith("variant") else None)
    about: Document = {"task": task_id, "kind": kind, "scenario": case.scenario.id}
    about["level"] = case.scenario.difficulty
    changed = change(graded)
    changed["oracle"]["task"] = task_id
    return Task(task_id, case.scenario.difficulty, change(document), changed | about)


# --- the answer ---


def answer_of(case: Case) -> Document:
    """What accusing each span of the case comes to, as the judge says; innocents are left out."""
    truth, evidence = case.scenario.truth, case.evidence
    trial = Trial(case.scenario, evidence)
    harmed: list[str] = []
    guilty: Document = {}
    acquitted: Document = {}
    for trace in filter(None, map(evidence.trace, evidence.traces)):
        if not trial.shows_harm(trace):
            continue
        harmed.append(trace.trace_id)
        for span in trace:
            how = [each.value for each in trial.mechanisms_of(trace, span)]
            if how:
                guilty.setdefault(trace.trace_id, {})[span.span_id] = {
                    "how": how,
                    "parties": _parties(case, trace, span),
                    "path": [[s.trace_id, s.span_id, s.service] for s in _way(trace, span)],
                }
            elif (verdict := trial.acquit(trace, span)) is not VerdictClass.INNOCENT:
                acquitted.setdefault(trace.trace_id, {})[span.span_id] = verdict.value
    return {
        "format": "deadspan-answer-1",
        "nobody": truth.is_nobody,
        "mechanisms": [truth.mechanism.value] if truth.is_nobody else [],
        "asks_scope": case.scenario.asks_scope,
        "scope": truth.scope.value,
        "needed": ["culprit", "accomplice"] if truth.accomplice else [],
        "harmed": harmed,
        "guilty": guilty,
        "acquitted": acquitted,
    }


def _parties(case: Case, trace: Trace, span: Span) -> list[str]:
    truth, reference = case.scenario.truth, case.evidence.reference_stats
    parties = {"culprit": truth.is_culprit, "accomplice": truth.is_accomplice}
    return [party for party, did_it in parties.items() if did_it(span, trace, reference)]


def _way(trace: Trace, span: Span) -> tuple[Span, ...]:
    """From the edge to the span, both included."""
    return (*reversed(trace.ancestors(span)), span)


def _nobodys(answer: Document) -> Document:
    nothing: Document = {
        "mechanisms": [],
        "needed": [],
        "harmed": [],
        "guilty": {},
        "acquitted": {},
    }
    return answer | nothing | {"nobody": True, "oracle": _said(nobody=True)}


def _said(**more: Any) -> Document:
    return {"format": FORMAT, "task": "", "who": "the oracle", **more}


def _oracle(answer: Document, evidence: Evidence) -> Document:
    """An accusation that solves the task, with its path and evidence."""
    if answer["nobody"]:
        return _said(nobody=True)
    found = {
        party: (trace, span)
        for trace, spans in reversed(answer["guilty"].items())
        for span, guilt in spans.items()
        for party in guilt["parties"] or ["equal"]
    }
    pairs = [found[each] for each in answer["needed"] or ["culprit"]]
    guilt = [answer["guilty"][trace][span] for trace, span in pairs]
    return _said(
        nobody=False,
        spans=[list(each) for each in pairs],
        mechanisms=[each["how"][0] for each in guilt],
        scope=answer["scope"],
        path=[each[:2] for each in guilt[0]["path"]],
        evidence=[_claim(evidence.traces[trace].by_id[span]) for trace, span in pairs],
    )


def _claim(span: Span) -> Document:
    shows = {"operation": span.name, "duration_ms": span.duration_ms, "status": span.status.value}
    return {"trace_id": span.trace_id, "span_id": span.span_id, "shows": shows}


# --- which telemetry ---


def _until_it_ended(evidence: Evidence) -> Evidence:
    """Before and incident alone, for a healthy twin has no time after."""
    windows = {w: evidence.windows[w] for w in (Window.REFERENCE, Window.CRIME)}
    requests = [each for each in evidence.requests if each.window in windows]
    return _restricted(evidence, windows, requests, windows[Window.CRIME].end_s)


def _calm(evidence: Evidence) -> Evidence:
    """The time before in two halves, cut at its middle request: the second is the *incident*."""
    whole = evidence.windows[Window.REFERENCE]
    requests = [each for each in evidence.requests if each.window is Window.REFERENCE]
    ordered = sorted(requests, key=lambda each: each.start_s)
    cut_s = ordered[len(ordered) // 2].start_s
    windows = {
        Window.REFERENCE: Interval(whole.start_s, cut_s),
        Window.CRIME: Interval(cut_s, whole.end_s),
    }
    told = [
        replace(each, window=Window.CRIME) if each.start_s >= cut_s else each for each in ordered
    ]
    return _restricted(evidence, windows, told, whole.end_s)


def _restricted(
    evidence: Evidence, windows: Mapping[Window, Interval], requests: list[Request], end_s: float
) -> Evidence:
    """What began before ``end_s``; usual durations come from what the first window has."""
    asked = {each.trace_id: each.window for each in requests}
    traces = {
        key: trace
        for key, trace in evidence.traces.items()
        if key in asked
        or (key not in evidence.request_of and trace.spans[0].start_ns / 1e9 < end_s)
    }
    usual = [
        each
        for each in evidence.samples.get(Sample.REFERENCE, ())
        if asked.get(each) is Window.REFERENCE
    ]
    logs = tuple(line for line in evidence.logs if _is_told(line, traces, end_s))
    return Evidence(windows, tuple(requests), {Sample.REFERENCE: tuple(usual)}, traces, logs=logs)


def _is_told(text: str, traces: Mapping[str, Trace], end_s: float) -> bool:
    line = read_line(text)
    is_in_time = line is not None and line.time_unix_s < end_s
    return is_in_time and line is not None and (line.trace_id is None or line.trace_id in traces)


def _thinned(evidence: Evidence, needed: set[str], dice: random.Random) -> Evidence:
    """A share of the traces, and those without which the task could not be solved."""
    kept = {
        key: trace
        for key, trace in evidence.traces.items()
        if dice.random() < KEPT_OF_A_VARIANT or key in needed
    }
    logs = tuple(each for each in evidence.logs if _is_told(each, kept, float("inf")))
    return replace(evidence, traces=kept, logs=logs)


def _some_customer(evidence: Evidence, case: Case) -> str:
    """The trace of a request of the incident, of the caller's own route where there is one."""
    asked = [e for e in evidence.requests if e.window is Window.CRIME]
    kept = [each for each in asked if each.trace_id in evidence.traces] or asked
    called = case.evidence.request_of.get(case.support_code or "")
    alike = [each for each in kept if called is not None and each.route == called.route]
    return (alike or kept)[0].trace_id


# --- names, ids and times ---


class _Change:
    """Other ids and times in all that is told, and in a variant other names of the services."""

    def __init__(
        self, salt: str, document: Document, dice: random.Random, renamed: Evidence | None
    ) -> None:
        self._salt = salt
        self._ids = frozenset(_ids_of(document))
        self._shift_s = dice.randrange(-300 * 86_400, 300 * 86_400)
        self._names = _new_names(renamed, dice) if renamed is not None else {}
        words = "|".join(sorted(map(re.escape, self._names), key=len, reverse=True))
        self._word = re.compile(
            rf"(?<![A-Za-z0-9_])(?:{words or '(?!)'})(?![A-Za-z0-9_])", re.IGNORECASE
        )

    def __call__(self, document: Document) -> Document:
        """The same, changed; what is no document with times keeps what it has."""
        text = json.dumps(self._shifted(document) if "windows" in document else document)
        text = _NANOS.sub(lambda m: f'{m[1]}{int(m[2]) + self._shift_s * 10**9}"', text)
        text = _ID.sub(self._other_id, text)
        found: Document = json.loads(self._word.sub(self._other_name, text))
        return found

    def _shifted(self, document: Document) -> Document:
        """Times that are seconds; those of spans are found by their name."""
        by = self._shift_s
        windows = {word: [s + by, e + by] for word, (s, e) in document["windows"].items()}
        requests = [[row[0], row[1] + by, *row[2:]] for row in document["requests"]]
        lines = [json.loads(each) for each in document["logs"]]
        logs = [json.dumps(e | {"time_unix_s": e["time_unix_s"] + by}) for e in lines]
        return document | {"windows": windows, "requests": requests, "logs": logs}

    def _other_id(self, match: re.Match[str]) -> str:
        if match[0] not in self._ids:
            return match[0]
        return hashlib.sha256(f"{self._salt} {match[0]}".encode()).hexdigest()[: len(match[0])]

    def _other_name(self, match: re.Match[str]) -> str:
        new = self._names[match[0].lower()]
        return new.capitalize() if match[0][0].isupper() else new


def _ids_of(document: Document) -> Iterator[str]:
    """Every id of a trace or span, also of such as are not there."""
    yield from (row[6] for row in document["requests"])
    text = json.dumps(document["traces"])
    yield from re.findall(r'"(?:traceId|spanId|parentSpanId)": "([0-9a-f]+)"', text)
    lines = (json.loads(each) for each in document["logs"])
    for line in lines:
        yield from filter(None, (line.get("trace_id"), line.get("span_id")))


def _new_names(evidence: Evidence, dice: random.Random) -> Mapping[str, str]:
    spans = chain.from_iterable(evidence.traces.values())
    old = sorted({name for span in spans for name in (span.service, span.peer) if name})
    return dict(zip((each.lower() for each in old), dice.sample(NAMES, len(old)), strict=True))
