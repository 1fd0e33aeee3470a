"""Who answers tasks without a model: the detective, the floors, and a scripted agent.

They are the first rows of the table, and let the benchmark run where no agent is to be had.
"""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from lab.bench.grading import FORMAT
from lab.detective.answer import Answer as Detected
from lab.detective.detect import detect
from lab.detective.floors import NAIVE, Ranking, Seen
from lab.detective.incident import incident_of
from lab.errors import UsageError
from lab.mcp.answers import Answer, Arguments, size_of
from lab.mcp.casework import LAB
from lab.mcp.dossier import Dossier
from lab.mcp.exam import ExamRoom
from lab.mcp.toolbox import Tool
from lab.mcp.traces import JAEGER

DETECTIVE: Final = "`lab detect`"
SCRIPTED: Final = "scripted agent: errors, then self time against a twin"

LOOKED_AT: Final = 10
"""Traces that the scripted agent opens of each kind."""
LEAST_GROWTH_MS: Final = 5.0
"""Of self time against the twin, a trace: less is nobody's."""
LEAST_GROWTH: Final = 0.5
"""Of the self time that the twin has."""

_TOOLS: Final[Mapping[str, Tool]] = {each.name: each for each in (*LAB, *JAEGER)}
_SAYS: Final[Mapping[str, str]] = {
    "timeout": "timeout",
    "cancel": "timeout",
    "refused": "connection-refused",
    "reset": "connection-reset",
    "disconnected": "connection-reset",
    "eof": "truncated-response",
    "lock": "lock-contention",
    "pool": "pool-exhaustion",
}
"""A piece of what an error says → the mechanism that it most likely was."""

Accusation = dict[str, Any]
Solver = Callable[[Dossier], Accusation]


def solvers() -> Mapping[str, Solver]:
    """Name → who answers a task, in the order of the table."""
    floors = {f"floor: {name}": partial(_floor, method) for name, method in NAIVE.items()}
    return {DETECTIVE: _detective, SCRIPTED: scripted, **floors}


def answered(who: str, solver: Solver, dossier: Dossier) -> Accusation:
    """The accusation as a file of it, with the seconds that it took."""
    began_s = time.monotonic()
    found = solver(dossier)
    seconds = round(time.monotonic() - began_s, 3)
    return {"format": FORMAT, "task": dossier.case_id, "who": who, "seconds": seconds, **found}


def _detective(dossier: Dossier) -> Accusation:
    answer = detect(incident_of(dossier.evidence))
    return {**_accused(answer), "scope": answer.scope.value}


def _accused(answer: Detected) -> Accusation:
    suspect = answer.first
    if suspect is None:
        return {"nobody": True}
    parties = [(suspect.examples[0], suspect.mechanism)]
    if suspect.partner is not None:
        parties.append((suspect.partner.example, suspect.partner.mechanism))
    return {
        "spans": [list(pair) for pair, _ in parties],
        "mechanisms": [how.value for _, how in parties],
    }


def _floor(method: Callable[[Seen], Ranking], dossier: Dossier) -> Accusation:
    seen = Seen(incident_of(dossier.evidence))
    picks = [seen.pick(each) for each in list(method(seen))[:1]]
    return {"spans": [list(pair) for pair in picks if pair is not None], "mechanisms": []}


# --- the scripted agent ---


class _Hands:
    """Calls tools as an agent does, of one task."""

    def __init__(self, dossier: Dossier, target: Path) -> None:
        self._room = ExamRoom(dossier, target, SCRIPTED)

    def __call__(self, tool: str, **arguments: Any) -> Answer:
        answer = _TOOLS[tool].answer(self._room, arguments)
        self._room.sent(size_of(answer))
        return answer


def scripted(dossier: Dossier) -> Accusation:
    """Breadth first: errors that are new, else what takes longer than in the healthy twin.

    Everything is asked through the tools that agents have.
    """
    with TemporaryDirectory() as folder:
        target = Path(folder) / "accusation.json"
        ask = _Hands(dossier, target)
        began = ask("read_briefing")["periods"]["incident"]["start"]
        claim = _by_errors(ask, began) or _by_self_time(ask, began) or {"nobody": True}
        ask("accuse", **claim)
        found: Accusation = json.loads(target.read_text(encoding="utf-8"))
    return {key: each for key, each in found.items() if key not in {"format", "task", "who"}}


def _by_errors(ask: _Hands, began: str) -> Arguments | None:
    """The deepest error that most failed traces share, and that failed less often before."""
    failed = ask("search_traces", with_errors=True, start_time_min=began, search_depth=100)
    earlier = ask("search_traces", with_errors=True, start_time_max=began, search_depth=100)
    usual = Counter(key for key, _, _ in _deepest(ask, earlier))
    seen: dict[tuple[str, ...], list[tuple[str, Answer]]] = defaultdict(list)
    for key, trace_id, span in _deepest(ask, failed):
        seen[key].append((trace_id, span))
    new = {key: found for key, found in seen.items() if len(found) > 2 * usual[key] + 1}
    if not new:
        return None
    found = max(new.values(), key=len)
    trace_id, span = found[len(found) // 2]
    return _claim(ask, trace_id, span, _said_by(span))


def _deepest(ask: _Hands, found: Answer) -> Iterator[tuple[tuple[str, ...], str, Answer]]:
    rows = found["traces"]
    for row in rows[:: max(1, len(rows) // LOOKED_AT)][:LOOKED_AT]:
        for span in ask("get_trace_errors", trace_id=row["trace_id"])["errors"]:
            if span["is_deepest"]:
                key = (span["service"], span["operation"], span.get("peer", ""))
                yield key, row["trace_id"], span


def _said_by(span: Answer) -> str:
    text = json.dumps([span["status_message"], span["events"], span["attributes"]]).lower()
    return next((how for piece, how in _SAYS.items() if piece in text), "latency")


def _by_self_time(ask: _Hands, began: str) -> Arguments | None:
    """The operation whose own time grew most against the twins of the slowest traces."""
    found = ask("search_traces", start_time_min=began, search_depth=100)["traces"]
    slowest = sorted(found, key=lambda each: -each["duration_ms"])[:LOOKED_AT]
    grown: dict[tuple[str, str], list[Answer]] = defaultdict(list)
    for trace in slowest:
        rows = _twin_rows(ask, trace["trace_id"])
        for row in rows:
            if row["span_id"] is not None:
                grown[row["service"], row["name"]].append({**row, "trace_id": trace["trace_id"]})
    if not grown:
        return None
    rows = max(grown.values(), key=lambda each: sum(row["change_ms"] for row in each))
    change_ms = sum(row["change_ms"] for row in rows)
    usual_ms = sum(row["healthy_self_ms"] or 0.0 for row in rows)
    if change_ms < max(LEAST_GROWTH_MS * len(slowest), LEAST_GROWTH * usual_ms):
        return None
    worst = max(rows, key=lambda each: each["change_ms"])
    [span] = ask("get_span_details", trace_id=worst["trace_id"], span_ids=[worst["span_id"]])[
        "spans"
    ]
    how = "pool-exhaustion" if "acquire" in span["operation"] else "latency"
    return _claim(ask, worst["trace_id"], span, how)


def _twin_rows(ask: _Hands, trace_id: str) -> list[Answer]:
    try:
        rows: list[Answer] = ask("compare_with_healthy_twin", trace_id=trace_id)["rows"]
    except UsageError:  # Nothing of before is like it.
        return []
    return rows


def _claim(ask: _Hands, trace_id: str, span: Answer, how: str) -> Arguments:
    """The accusation, with the way to the span and what it shows."""
    rows = {
        row["span_id"]: row
        for row in ask("get_trace_topology", trace_id=trace_id)["rows"]
        if "span_id" in row
    }
    way, current = [span["span_id"]], rows.get(span["span_id"])
    while current is not None and current["parent_span_id"] in rows:
        way.append(current["parent_span_id"])
        current = rows[current["parent_span_id"]]
    here = {"trace_id": trace_id, "span_id": span["span_id"]}
    shows = {key: span[key] for key in ("service", "operation", "duration_ms")}
    return {
        "spans": [here],
        "mechanisms": [how],
        "path": [{"trace_id": trace_id, "span_id": each} for each in reversed(way)][:64],
        "evidence": [{**here, "shows": shows}],
    }
