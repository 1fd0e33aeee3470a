"""The command that looks for what would give a case away: lint."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab.commands.common import JsonOption, notes, print_json
from lab.errors import ScenarioError, UsageError
from lab.frozen import dataclass
from lab.settings import CHECKOUT, Settings

if TYPE_CHECKING:
    from lab.commands.fairness import Difficulty
    from lab.domain.case import Case
    from lab.domain.scenario import Scenario
    from lab.lint import Problem, TelemetryLint


@dataclass(frozen=True)
class Read:
    """What was looked through."""

    scenarios: int
    dashboards: int
    telemetry_files: int
    telemetry_bytes: int
    took_s: float

    def __str__(self) -> str:
        """For people."""
        return (
            f"{self.scenarios} scenarios, {self.dashboards} dashboards and "
            f"{self.telemetry_bytes / 1e6:.1f} MB of telemetry in {self.telemetry_files} files "
            f"read in {self.took_s:.1f} s"
        )


def _folder(what: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        metavar="DIR", exists=True, file_okay=False, help=what
    )
    return option


def lint(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="SCENARIO", help="All where empty.")
    ] = None,
    cases: Annotated[Path | None, _folder("Case folders, for the telemetry in them.")] = None,
    logs: Annotated[Path | None, _folder("The stack's logs, for all metrics and logs.")] = None,
    dashboards: Annotated[Path | None, _folder("Default: deploy/grafana.")] = None,
    fair: Annotated[
        bool, typer.Option("--fair", help="Ask the detective of each recording, too.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Look for what gives a case away: in texts, dashboards and real telemetry; exit 1 if found.

    With --fair also for spans that explain a recorded case nearly as well as the culprit and
    are neither accepted nor given a reason, and which cases are easy or hard for naive methods.
    """
    from lab.adapters.cases.telemetry_files import case_files, given_leases, signal_files
    from lab.commands.fairness import difficulty, rivals
    from lab.detective.incident import incident_of
    from lab.lint import TelemetryLint, dashboard_problems, merged

    started_s = time.monotonic()
    known, problems = _scenarios(Settings(), names or ())
    chosen = set(names or known)
    scenarios = {name: each for name, each in known.items() if each is not None}
    for name in sorted(chosen & scenarios.keys()):
        problems += _variant_problems(Settings(), scenarios[name])
    boards = sorted((dashboards or CHECKOUT / "deploy" / "grafana").rglob("*.json"))
    for board in boards:
        problems += dashboard_problems(_shown(board), board.read_text("utf-8"), scenarios)
    files = (*(case_files(cases, chosen) if cases else ()), *(signal_files(logs) if logs else ()))
    size = sum(path.stat().st_size for path in files)
    titles = {name: each.title if each else name for name, each in known.items()}
    rules = TelemetryLint(titles, given_leases(logs) if logs else ())
    problems += merged(_telemetry_problems(rules, files, size))
    difficulties: list[Difficulty] = []
    if fair:
        for case in _recorded(Settings(), sorted(chosen & scenarios.keys())):
            incident = incident_of(case.evidence)
            problems += rivals(case, incident)
            difficulties += filter(None, [difficulty(case, incident)])
    read = Read(len(chosen), len(boards), len(files), size, time.monotonic() - started_s)
    _print(problems, difficulties, read, as_json)
    raise typer.Exit(1 if problems else 0)


def _scenarios(
    settings: Settings, wanted: Collection[str]
) -> tuple[Mapping[str, Scenario | None], list[Problem]]:
    """Every scenario by id, None where it cannot be read, and what is wrong with those wanted."""
    from lab import scenario_file
    from lab.domain.wording import unknown_name
    from lab.lint import file_problem

    scenarios: dict[str, Scenario | None] = {}
    problems: list[Problem] = []
    for folder in scenario_file.folders(settings.scenarios_dir):
        try:
            scenarios[folder.name] = scenario_file.load(folder)
        except ScenarioError as error:
            scenarios[folder.name] = None
            if not wanted or folder.name in wanted:
                problems += map(file_problem, error.problems)
    for name in wanted:
        if name not in scenarios:
            raise UsageError(unknown_name("scenario", name, scenarios))
    return scenarios, problems


def _variant_problems(settings: Settings, scenario: Scenario) -> list[Problem]:
    """What is wrong with a scenario's texts and bounds under any plan, each problem once."""
    from lab.lint import bound_problems, claim_problems, file_problem, text_problems
    from lab.scenario_file import grafana_path, variants

    problems: dict[Problem, None] = {}
    grafana = None
    try:
        grafana = grafana_path(settings.scenarios_dir / scenario.id)
    except ScenarioError as error:
        problems |= dict.fromkeys(map(file_problem, error.problems))
    try:
        for variant in variants(scenario):
            problems |= dict.fromkeys(text_problems(variant, grafana))
            problems |= dict.fromkeys(bound_problems(variant))
            # Exhibits are measured in runs, so what is only recorded has none to link to.
            if not variant.is_recorded:
                problems |= dict.fromkeys(claim_problems(variant, grafana))
    except ScenarioError as error:
        problems |= dict.fromkeys(map(file_problem, error.problems))
    return list(problems)


def _telemetry_problems(
    rules: TelemetryLint, files: Sequence[Path], size: int
) -> Iterator[Problem]:
    from lab.adapters.cases.json_lines import whole_lines
    from lab.terminal.reading_display import ReadingDisplay

    with ReadingDisplay(notes, "reading telemetry", size) as display:
        for path in files:
            for number, line in whole_lines(path):
                yield from rules.line_problems(_shown(path), number, line)
                display.advance(len(line))


def _recorded(settings: Settings, names: Sequence[str]) -> Iterator[Case]:
    """The recorded case of each scenario that has one."""
    from lab.adapters.cases.recording_file import read_recording, recordings
    from lab.terminal.reading_display import ReadingDisplay

    known = recordings(settings.scenarios_dir)
    sizes = {known[name]: known[name].stat().st_size for name in names if name in known}
    with ReadingDisplay(notes, "asking the detective", sum(sizes.values())) as display:
        for path, size in sizes.items():
            yield read_recording(path)
            display.advance(size)


def _print(
    problems: Sequence[Problem], difficulties: Sequence[Difficulty], read: Read, as_json: bool
) -> None:
    if as_json:
        rows = [{**asdict(each), "expected": each.rule.expected} for each in problems]
        difficult = [{**asdict(each), "remark": each.remark} for each in difficulties]
        print_json({"problems": rows, "difficulty": difficult, "read": asdict(read)})
        return
    for problem in problems:
        typer.echo(str(problem))
    for each in difficulties:
        if each.remark:
            typer.echo(f"{each.scenario_id}: {each.remark}")
    found = f"{len(problems)} problems" if problems else "nothing gives a case away"
    typer.echo(f"{read}: {found}", err=True)


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
