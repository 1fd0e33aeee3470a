"""Log lines in a terminal: counted by what they say, or one by one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.text import Text

from lab.domain.evidence import Evidence
from lab.domain.trace import Trace
from lab.domain.wording import counted, short_ids
from lab.investigation.reading.logs import BETWEEN, LogLine, LogPattern
from lab.investigation.reading.requests import WINDOW_WORDS
from lab.terminal.tables import iso, plain_table
from lab.terminal.text import clean

_LEVEL_STYLES: Final = {"FATAL": "bold red", "ERROR": "bold red", "WARN": "yellow"}


def pattern_table(found: Sequence[LogPattern], *, limit: int, lines: int) -> RenderableType:
    """What the lines say, the worst and newest first, counted by window."""
    if not found:
        return Text("no log line fits; leave a filter out, or see `lab logs --help`")
    counts = ("before", "incident", "after")
    table = plain_table("level", "service", *counts, "", "says", fold=("says",), right=counts)
    for each in found[:limit]:
        table.add_row(
            _level(each.severity),
            Text(clean(each.service, 40)),
            *(str(getattr(each, word)) for word in counts),
            Text("new" if each.is_new else "", style="yellow"),
            Text(clean(each.pattern, 300)),
        )
    told = (
        f"{min(limit, len(found))} of {counted(len(found), 'kind')} of line, which "
        f"{counted(lines, 'line')} that the case keeps are of; # stands for what differs. "
        "`--lines` lists the lines, `--pattern TEXT` those of a kind."
    )
    return Group(table, Text(told, style="dim"))


def line_table(
    evidence: Evidence, found: Sequence[LogLine], *, limit: int, trace: Trace | None
) -> RenderableType:
    """The lines in order of time, each with its trace, or of one ``trace`` with its span."""
    if not found:
        return Text("no log line fits; leave a filter out, or see `lab logs --help`")
    ids = short_ids(list(evidence.traces if trace is None else trace.by_id), 8 - 4 * bool(trace))
    owner = "trace" if trace is None else "span"
    table = plain_table(
        *("when", "into it", "level", "service", owner, "says"), fold=("says",), right=("into it",)
    )
    for each in found[:limit]:
        owner_id = each.trace_id if trace is None else each.span_id
        table.add_row(
            each.window or BETWEEN if evidence.windows else "",
            _into(evidence, each),
            _level(each.severity),
            Text(clean(each.service, 40)),
            _owner(owner_id, ids),
            Text(clean(each.body, 600)),
        )
    told = f"{min(limit, len(found))} of {counted(len(found), 'line')} that fit."
    more = "`lab logs TRACE` shows those of one trace." if trace is None else ""
    return Group(table, Text(f"{told} {more}".rstrip(), style="dim"))


def _owner(owner_id: str | None, ids: Mapping[str, str]) -> Text:
    if owner_id is None:
        return Text("none", style="dim")
    if owner_id in ids:
        return Text(ids[owner_id], style="cyan")
    return Text(f"{clean(owner_id, 16)} not kept", style="yellow")


def line_rows(found: Iterable[LogLine]) -> list[dict[str, Any]]:
    """The lines as a program reads them."""
    return [
        {
            "time": iso(each.time_unix_s),
            "window": each.window,
            "service": each.service,
            "severity": each.severity,
            "trace_id": each.trace_id,
            "span_id": each.span_id,
            "body": each.body,
        }
        for each in found
    ]


def _level(severity: str) -> Text:
    return Text(clean(severity.lower(), 10), style=_LEVEL_STYLES.get(severity, "dim"))


def _into(evidence: Evidence, line: LogLine) -> str:
    for window, word in WINDOW_WORDS.items():
        if word == line.window:
            return f"{line.time_unix_s - evidence.windows[window].start_s:.1f}s"
    return ""
