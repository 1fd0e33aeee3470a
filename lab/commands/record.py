"""The command that keeps proven cases beside their scenarios: record."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from lab import bootstrap
from lab.adapters.cases.run_lock import run_lock
from lab.commands.common import JsonOption, console, lab_command, notes, print_json, run_async
from lab.commands.run import HEADLINES, all_here, run_one, scenario_named
from lab.commands.stack import up
from lab.domain.instrumentation import Instrumentation
from lab.domain.proof import ProofVerdict
from lab.errors import HarmStopped, LabError, UsageError
from lab.settings import Settings
from lab.terminal.verify_table import Attempt, attempt_rows, attempts_summary

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from lab.domain.case import Case
    from lab.domain.scenario import Scenario

    Found = Callable[[Scenario], Case]
    """A case of a scenario."""


def record(
    names: Annotated[list[str] | None, typer.Argument(help="Scenarios, e.g. db-timeout.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All scenarios, one after another.")] = False,
    seed: Annotated[int, typer.Option(help="The same seed deals the same load.")] = 1,
    tries: Annotated[
        int, typer.Option(min=1, max=9, help="Of several, how often to run what has no verdict.")
    ] = 2,
    case_id: Annotated[
        str | None, typer.Option("--case", "-c", help="Take this case instead of a new run.")
    ] = None,
    refresh: Annotated[
        bool,
        typer.Option(
            "--refresh",
            help="No run: keep the recorded evidence, and prove by it the scenario as it is now.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Prove cases and keep them beside their scenarios, to practise on; nothing unless proven.

    What is not proven leaves the recording that was there. Of several, each is told when it is
    done, and those without a verdict are run again after the others.
    """
    settings = Settings()
    wanted = _wanted(settings, names or (), every=every)
    if refresh and case_id is not None:
        raise UsageError("expected --refresh or --case, got both: each says what to record")
    if case_id is not None and len(wanted) > 1:
        raise UsageError(f"expected one scenario beside --case, got {len(wanted)}")
    sitting = _Sitting(settings, wanted, quiet=as_json)
    try:
        if refresh or case_id is not None:
            sitting.record_each(_kept_already(settings, case_id))
        else:
            what = "--all" if every else " ".join(each.id for each in wanted)
            with run_lock(settings.run_dir, f"`lab record {what}`"):
                sitting.record_each(_run_anew(settings, seed), tries if len(wanted) > 1 else 1)
    finally:  # What was recorded before a part died, or somebody had enough, is told all the same.
        if as_json:
            print_json(attempt_rows(sitting.done.values()))
        elif len(wanted) > 1:
            told = attempts_summary([each.id for each in wanted], sitting.done, lab_command())
            console.print(told, soft_wrap=True, highlight=False)
    raise typer.Exit(max(each.exit_code for each in sitting.done.values()))


def _wanted(settings: Settings, names: Sequence[str], *, every: bool) -> list[Scenario]:
    if every is bool(names):
        got = f"--all and {' '.join(names)}" if every else "neither"
        raise UsageError(f"expected scenarios (db-timeout) or --all, got {got}")
    found = all_here(settings) if every else (scenario_named(settings, each) for each in names)
    wanted = list({each.id: each for each in found}.values())
    if not wanted:
        raise UsageError(f"expected scenarios in {settings.scenarios_dir}, found none to record")
    return wanted


def _kept_already(settings: Settings, case_id: str | None) -> Found:
    """No run: that case of the archive, or without an id what is recorded."""
    from lab.adapters.cases.recording_file import RECORDING, read_recording
    from lab.investigation.running.recording import of_todays

    def found(scenario: Scenario) -> Case:
        if case_id is not None:
            return bootstrap.archive(settings).load(case_id)
        return of_todays(scenario, read_recording(settings.scenarios_dir / scenario.id / RECORDING))

    return found


def _run_anew(settings: Settings, seed: int) -> Found:
    """A run; before each the stack is brought up, so that none suffers by what another broke."""

    def found(scenario: Scenario) -> Case:
        async def main() -> Case:
            async with bootstrap.lab(settings) as lab:
                return await run_one(lab, scenario, seed)

        up()
        return run_async(main)

    return found


class _Sitting:
    """Scenarios that are recorded one after another, and what came of each so far."""

    def __init__(self, settings: Settings, wanted: Sequence[Scenario], *, quiet: bool) -> None:
        self._settings = settings
        self._wanted = wanted
        self._say = notes if quiet else console
        self.done: dict[str, Attempt] = {}

    def record_each(self, found: Found, tries: int = 1) -> None:
        """Record what is ``found`` of each; up to ``tries`` times, those without a verdict again.

        What ends one is told and the next begins; of one alone it is raised.
        """
        todo = self._wanted
        for number in range(1, tries + 1):
            for place, scenario in enumerate(todo, start=1):
                if len(self._wanted) > 1:
                    again = f", try {number} of {tries}" if number > 1 else ""
                    notes.print(f"{place} of {len(todo)}: {scenario.id}{again}")
                attempt = replace(self._attempt(found, scenario), tries=number)
                self.done[scenario.id] = attempt
                self._say.print(attempt.said, soft_wrap=True)
            todo = [each for each in todo if self.done[each.id].may_be_tried_again]

    def _attempt(self, found: Found, scenario: Scenario) -> Attempt:
        try:
            return self._kept(scenario, found(scenario))
        except HarmStopped:
            raise
        except LabError as error:
            if len(self._wanted) == 1:
                raise
            said = f"{scenario.id}: {error}; nothing was written"
            return Attempt(scenario.id, said, self._had_bytes(scenario), error=error)

    def _kept(self, scenario: Scenario, case: Case) -> Attempt:
        from lab.adapters.cases.recording_file import pack_case, write_recording
        from lab.investigation.running.recording import recorded

        if case.scenario != scenario or case.instrumentation is not Instrumentation.FULL:
            raise UsageError(
                f"expected a case of {scenario.id} as its files are now, not varied by a seed and "
                f"with all its spans, got {case.case_id}; without --case it is run anew"
            )
        had, verdict, target = self._had_bytes(scenario), case.proof.verdict, self._target(scenario)
        if verdict is not ProofVerdict.PROVEN:
            said = f"{case.case_id}: {HEADLINES[verdict]}; nothing was written"
            return Attempt(scenario.id, said, had, verdict=verdict)
        packed = recorded(case, pack_case)
        write_recording(target, packed)
        said = f"{case.case_id}: {len(packed) / 1000:.0f} kB in {target}"
        return Attempt(scenario.id, said, had, kept_bytes=len(packed), verdict=verdict)

    def _target(self, scenario: Scenario) -> Path:
        from lab.adapters.cases.recording_file import RECORDING

        return self._settings.scenarios_dir / scenario.id / RECORDING

    def _had_bytes(self, scenario: Scenario) -> int | None:
        target = self._target(scenario)
        return target.stat().st_size if target.exists() else None
