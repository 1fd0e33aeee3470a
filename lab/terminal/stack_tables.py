"""The stack, this machine and the tools as tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

from rich.console import Group, RenderableType
from rich.text import Text

from lab.terminal.tables import plain_table
from lab.terminal.text import clean

_STATES: Final = {"ready": ("✔", "green"), "starting": ("…", "yellow")}
_LEVELS: Final = {
    "ok": ("✔ ok", "green"),
    "warn": ("! warn", "yellow"),
    "fail": ("✖ fail", "bold red"),
}


class Diagnosis(Protocol):
    """One thing that was looked at; ``level`` is ok, warn or fail."""

    @property
    def name(self) -> str:
        """What was looked at."""
        ...

    @property
    def level(self) -> str:
        """How it is."""
        ...

    @property
    def found(self) -> str:
        """What was found."""
        ...

    @property
    def advice(self) -> str:
        """What to do about it; empty where nothing needs doing."""
        ...


def status_table(
    parts: Iterable[Mapping[str, Any]], lease: Mapping[str, Any] | str | None
) -> RenderableType:
    """Parts (``name``, ``state``, ``pid``, ``port``) and the lease that is held, if any.

    ``lease`` is a word instead where the warden did not say.
    """
    table = plain_table("part", "state", "pid", "port", fold=("state",), right=("pid", "port"))
    for part in parts:
        mark, style = _STATES.get(str(part["state"]), ("✖", "bold red"))
        table.add_row(
            str(part["name"]),
            Text(f"{mark} {clean(str(part['state']))}", style=style),
            _number(part["pid"]),
            _number(part["port"]),
        )
    return Group(table, Text(_lease(lease)))


def doctor_table(findings: Iterable[Diagnosis]) -> RenderableType:
    """Every finding, and below it what to do."""
    table = plain_table("", "looked at", "found", fold=("found",))
    for finding in findings:
        mark, style = _LEVELS.get(finding.level, (finding.level, ""))
        found = Text(clean(finding.found))
        if finding.advice:
            found.append(f"\n→ {clean(finding.advice)}", style="bold")
        table.add_row(Text(mark, style=style), finding.name, found)
    return table


def tools_table(tools: Iterable[Mapping[str, Any]], cache_key: str) -> RenderableType:
    """Tools (``name``, ``version``, ``source``, ``path``) and the key CI may cache them by."""
    table = plain_table("tool", "version", "from", "path", fold=("path",))
    for tool in tools:
        found = tool["path"] is not None
        table.add_row(
            str(tool["name"]),
            str(tool["version"]),
            Text(str(tool["source"]), style="" if found else "bold red"),
            Text(str(tool["path"]) if found else "`lab tools --build` builds it"),
        )
    return Group(table, Text(f"cache key: {cache_key}"))


def _lease(lease: Mapping[str, Any] | str | None) -> str:
    if lease is None:
        return "no lease is held: the shop is as it should be"
    if isinstance(lease, str):
        return f"whether a lease is held is {lease}: the warden does not answer"
    return (
        f"a lease is held by {clean(str(lease['holder']))} ({lease['state']}), "
        f"it ends in {float(lease['expires_in_s']):.0f} s unless it is kept up"
    )


def _number(value: object) -> str:
    return "" if value is None else str(value)
