"""Every command of ``lab``: where it lives, under which heading it is listed, an example.

A command's module is imported when that command is called, not before: whoever reads
``lab --help`` or looks at a trace does not wait for what runs a case.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import typer
import typer.main
from typer.core import TyperCommand, TyperGroup

from lab.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """One command: ``function`` of ``lab.commands.<module>``, and its line in the list.

    The line fits 80 columns; the function's docstring is what ``lab NAME --help`` says.
    ``hands_on`` is one that passes arguments it does not know to another program.
    """

    name: str
    line: str
    module: str
    function: str
    example: str
    hands_on: bool = False

    def command(self) -> TyperCommand:
        """The command itself, imported now."""
        function = getattr(importlib.import_module(f"lab.commands.{self.module}"), self.function)
        alone = typer.Typer(add_completion=False, rich_markup_mode="rich")
        alone.command(
            self.name,
            epilog=f"Example: {self.example}",
            context_settings={
                "allow_extra_args": self.hands_on,
                "ignore_unknown_options": self.hands_on,
            },
        )(function)
        made = typer.main.get_command(alone)
        assert isinstance(made, TyperCommand)
        return made


PANELS: Final[Mapping[str, tuple[Entry, ...]]] = MappingProxyType(
    {
        "Stack": (
            Entry("up", "Start the stack and wait until it is ready.", "stack", "up", "lab up"),
            Entry("status", "Say what runs, where, and whether a lease is held.",
                  "stack", "status", "lab status --json"),
            Entry("doctor", "Check this machine and say what to do about each finding.",
                  "stack", "doctor", "lab doctor"),
            Entry("grafana", "Look at the stack in Grafana, until Ctrl-C.",
                  "grafana", "grafana", "LAB_SIGNALS=full lab up && LAB_SIGNALS=full lab grafana"),
            Entry("load", "Load the shop by hand, with Locust's own web page.",
                  "stack", "load", "lab load --users 20 --headless", hands_on=True),
            Entry("heal", "Take every fault out of the shop.",
                  "stack", "heal", "lab heal --reveal"),
            Entry("stop-harm", "End all harm, and let none in until `allow-harm`.",
                  "lever", "stop_harm", "lab stop-harm"),
            Entry("allow-harm", "Let runs and holds hurt the shop again.",
                  "lever", "allow_harm", "lab allow-harm"),
            Entry("down", "Stop the stack; data and cases stay.", "stack", "down", "lab down"),
            Entry("clean", "Stop the stack and remove what it made; cases stay.", "stack", "clean",
                  "lab clean --yes"),
            Entry("tools", "List the tools, or build those that are missing.",
                  "stack", "tools", "lab tools --build"),
        ),
        "Run and prove": (
            Entry("run", "Hurt the shop as a scenario says, prove it, open the case.",
                  "run", "run", "lab run slow-shelves --hold 10m"),
            Entry("journal", "Read what a run wrote down, and how it ended.",
                  "cases", "journal", "lab journal --json"),
            Entry("verify", "Prove that scenarios kill as they say, a line a run.",
                  "verify", "verify", "lab verify db-timeout --explain"),
            Entry("instrumentation", "The same crime with no, zero-code and all spans.",
                  "instrumentation", "instrumentation", "lab instrumentation pool-starvation"),
        ),
        "Solve": (
            Entry("practice", "Open the recorded case of a scenario; needs no stack.",
                  "practice", "practice", "lab practice --level 2 --browser"),
            Entry("cases", "List the cases of this checkout, newest first.",
                  "cases", "cases", "lab cases --delete imported-1"),
            Entry("open", "Open a case at the desk.", "desk", "open_case",
                  "lab open db-timeout.case.zip"),
            Entry("desk", "Serve the desk until Ctrl-C.", "desk", "desk", "lab desk --browser"),
            Entry("briefing", "Read the pager message again.", "solve", "briefing", "lab briefing"),
            Entry("signals", "Show rate, errors and latency over time.",
                  "signals", "signals", "lab signals --route 'POST /checkout'"),
            Entry("logs", "Count what log lines say, before and in the incident.",
                  "logs", "logs", "lab logs --level warn --lines"),
            Entry("traces", "List requests, or what no request began.",
                  "traces", "traces", "lab traces --route 'POST /checkout' --slowest --limit 5"),
            Entry("trace", "Show one trace as a tree.", "traces", "trace",
                  "lab trace 4bf92f35 --attributes"),
            Entry("twin", "Lay a trace beside the healthy one nearest to it.",
                  "compare", "twin", "lab twin 4bf92f35 --tree"),
            Entry("map", "Show who calls whom, before beside the incident.",
                  "compare", "service_map", "lab map --json"),
            Entry("contrast", "Rank what sets the hurt requests apart.",
                  "compare", "contrast", "lab contrast --limit 5"),
            Entry("promote", "Make an exercise of an incident that happened.",
                  "promote", "promote", "lab promote imported-1 --from answers.yaml"),
            Entry("mechanisms", "Define the words an accusation may use.",
                  "solve", "mechanisms", "lab mechanisms"),
            Entry("hint", "List the hints and their cost, or read one.",
                  "solve", "hint", "lab hint 1"),
            Entry("exhibit", "Show what the words of a case rest on.",
                  "solve", "exhibit", "lab exhibit dead-query"),
            Entry("accuse", "Name the span that did it, and how.",
                  "solve", "accuse", "lab accuse 4bf92f35 00f067aa --mechanism timeout"),
            Entry("debrief", "Read how the spans prove it, once solved or given up.",
                  "solve", "debrief", "lab debrief --markdown"),
            Entry("detect", "Let the lab's detective rank who did it.",
                  "detect", "detect", "lab detect slow-shelves-1 --json"),
            Entry("proof", "Print every finding with its numbers, once solved.",
                  "solve", "proof", "lab proof --explain"),
        ),
        "Agents": (
            Entry("mcp", "Serve cases to an agent by the Model Context Protocol.",
                  "mcp", "mcp", "lab mcp db-timeout-1 --profile jaeger"),
            Entry("bench", "Export cases as tasks for agents, or score their answers.",
                  "bench", "bench", "lab bench export tasks --format harbor"),
        ),
        "Share": (
            Entry("export", "Write a case with all its evidence into one file.",
                  "exchange", "export", "lab export db-timeout-1 --to db-timeout.case.zip"),
            Entry("import", "Make a case of a case file, or of traces of any system.",
                  "importing", "import_", "lab import traces.json.gz"),
            Entry("reference", "Say which traces of an import were healthy.",
                  "importing", "reference", "lab reference imported-1 --before 0s..90s"),
            Entry("replay", "Send a case's traces to any backend, as if of now.",
                  "exchange", "replay", "lab replay db-timeout-1 --to http://127.0.0.1:4318"),
        ),
        "Write a case": (
            Entry("new", "Make a scenario's folder that can be proven as it is.",
                  "author", "new", "lab new my-case"),
            Entry("schema", "Print the JSON Schema of `scenario.yaml`, for editors.",
                  "author", "schema", "lab schema > scenarios/scenario.schema.json"),
            Entry("lint", "Look for what gives a case away.",
                  "lint", "lint", "lab lint --cases .lab/cases --logs .lab/log"),
            Entry("record", "Prove cases and keep them, to practise on.",
                  "record", "record", "lab record db-timeout --refresh"),
        ),
    }
)  # fmt: skip
"""Heading → its commands, each in the order in which one needs them."""


class Commands(TyperGroup):
    """The group of all commands: it can list them without having imported any."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for panel, entries in PANELS.items():
            for entry in entries:
                self.add_command(_Listed(entry, panel))


class _Listed(TyperCommand):
    """A command's line in the list; the command itself takes its place once it is called."""

    def __init__(self, entry: Entry, panel: str) -> None:
        super().__init__(entry.name, help=entry.line, callback=None, rich_help_panel=panel)
        self._entry = entry

    def make_context(self, *arguments: Any, **more: Any) -> Any:
        """Begin the real command."""
        return self._entry.command().make_context(*arguments, **more)
