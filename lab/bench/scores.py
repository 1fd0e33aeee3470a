"""Accusations of anybody, people, agents or algorithms, beside each other in one table."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, Final

from lab.bench.agents import answered, solvers
from lab.bench.grading import COUNTS, Unreadable, check, grade, nothing_said
from lab.bench.harbor import Graded
from lab.errors import UsageError
from lab.mcp.task_file import of_document

Scores = dict[str, Any]

SHARES: Final = (
    *("solved", "right_span", "right_mechanism", "right_scope", "path_named", "false_accusation"),
)
"""Columns that are a share of the tasks that ask for it."""
HEADINGS: Final[Mapping[str, str]] = {
    "solved": "Solved",
    "right_span": "Right span",
    "right_mechanism": "Right mechanism",
    "right_scope": "Right scope",
    "path_named": "Path named",
    "false_accusation": "False accusation on healthy",
    "evidence": "Evidence re-executed",
    "calls": "Calls",
    "bytes_read": "Bytes read",
    "seconds": "Seconds",
}


def read_results(paths: Sequence[Path]) -> Mapping[str, Mapping[str, Any]]:
    """Who → task → accusation, of files and of folders of files.

    A file holds one accusation or a list of them; UsageError lists all that cannot be read.
    """
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    problems: list[str] = []
    for path in _files(paths):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            for each in content if isinstance(content, list) else [content]:
                accusation = check(each)
                who, task = str(accusation.get("who", path.stem)), str(accusation.get("task"))
                found[who][task] = accusation
        except (OSError, ValueError, RecursionError, Unreadable) as error:
            problems.append(f"{path}: {error}")
    if problems:
        raise UsageError("expected accusation files, found: " + "\n".join(problems))
    return found


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        yield from sorted(path.rglob("accusation*.json")) if path.is_dir() else [path]


def scored(
    tasks: Sequence[Graded],
    results: Mapping[str, Mapping[str, Any]],
    *,
    baselines: bool,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, list[Scores]]:
    """Who → the scores of every task; who said nothing of one has said nothing there."""
    known = {each.task_id for each in tasks}
    strange = sorted({each for said in results.values() for each in said} - known)
    if strange:
        raise UsageError(
            f"expected accusations of these tasks, got some of {', '.join(strange[:5])}; "
            "--tasks says which export they are of"
        )
    table: dict[str, list[Scores]] = defaultdict(list)
    for number, task in enumerate(tasks, start=1):
        progress(f"{number} of {len(tasks)}: {task.task_id}")
        document = task.load()
        if baselines:
            dossier = of_document(document)
            for who, solver in solvers().items():
                accusation = check(answered(who, solver, dossier))
                table[who].append(_one(task, document, accusation))
        for who, said in results.items():
            table[who].append(_one(task, document, said.get(task.task_id)))
    return table


def _one(task: Graded, document: Mapping[str, Any], accusation: Mapping[str, Any] | None) -> Scores:
    answer = dict(task.answer)
    if accusation is None:
        found = nothing_said(answer)
    else:
        found = grade(dict(accusation), answer, dict(document))
    return {"task": task.task_id, "kind": answer["kind"], **found}


def summary(scores: Sequence[Scores]) -> Scores:
    """One row: shares from 0 to 1 with how many tasks ask for it, and means a task."""
    row: Scores = {"tasks": len(scores)}
    for key in SHARES:
        asked = [each[key] for each in scores if each[key] is not None]
        row[key] = {"share": fmean(asked) if asked else None, "of": len(asked)}
    cited = sum(each["evidence_cited"] for each in scores)
    shown = sum(each["evidence_shown"] for each in scores)
    row["evidence"] = {"share": shown / cited if cited else None, "of": cited}
    for key in COUNTS:
        told = [each[key] for each in scores if each[key] is not None]
        row[key] = fmean(told) if told else None
    return row


def as_markdown(table: Mapping[str, Sequence[Scores]]) -> str:
    """The table, a row for each who, in the order in which they came."""
    lines = [_row(["Who", *HEADINGS.values()]), _row(["---"] * (1 + len(HEADINGS)))]
    for who, scores in table.items():
        found = summary(scores)
        lines.append(_row([who, *(_cell(found[key]) for key in HEADINGS)]))
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        whole = f" ({value['of']})"
        return "" if value["share"] is None else f"{value['share']:.2f}{whole}"
    return "" if value is None else f"{value:,.2f}" if value < 100 else f"{value:,.0f}"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(each.replace("|", "\\|") for each in cells) + " |"
