"""The command that proves cases and their twins: verify."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab import bootstrap
from lab.adapters.run_lock import run_lock
from lab.commands.common import (
    JsonOption,
    add_command,
    console,
    notes,
    print_json,
    run_async,
)
from lab.commands.run import run_one, scenario_named, summary
from lab.commands.stack import up
from lab.domain.proof import ProofVerdict
from lab.domain.twin import Tier
from lab.errors import UsageError
from lab.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.domain.scenario import Scenario
    from lab.investigation.run_case import Lab
    from lab.investigation.verify import Result, Trial


def verify(
    names: Annotated[list[str] | None, typer.Argument(help="Scenarios; all where empty.")] = None,
    tier: Annotated[
        Tier, typer.Option(help="core: only those proven at every change.")
    ] = Tier.FULL,
    twins: Annotated[
        bool, typer.Option("--twins", help="Also run each without its culprit, or a decoy.")
    ] = False,
    repeat: Annotated[int, typer.Option(min=1, max=100, help="Run all so many times.")] = 1,
    shuffle: Annotated[int | None, typer.Option(help="A seed for another order.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed deals the same load.")] = 1,
    explain: Annotated[
        bool, typer.Option(help="Print every finding, and the truth's nearest misses.")
    ] = False,
    junit: Annotated[Path | None, typer.Option(help="JUnit XML; default .lab/junit.xml.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Prove that scenarios kill as they say: a line a run with its numbers, and JUnit XML."""
    from lab.investigation.verify import trials
    from lab.terminal.verify_table import pass_rates

    settings = Settings()
    wanted = _wanted(settings, names or (), tier)
    todo = [each for _ in range(repeat) for each in trials(wanted, twins=twins, shuffle=shuffle)]
    done: list[Result] = []

    async def main() -> None:
        async with bootstrap.lab(settings) as lab:
            for trial in todo:
                done.append(await _run(lab, trial, seed))
                if not as_json:
                    _print(done[-1], explain=explain)

    try:
        with run_lock(settings.run_dir, "`lab verify`"):
            up()
            run_async(main)
    finally:  # What was proven before a part died, or somebody had enough, is told all the same.
        if done:
            _write(done, settings, junit)
    if as_json:
        print_json([_row(result) for result in done])
    elif repeat > 1:
        console.print("\n".join(pass_rates(done)))
    raise typer.Exit(max(result.verdict.exit_code for result in done))


def _wanted(settings: Settings, names: Sequence[str], tier: Tier) -> list[Scenario]:
    found = [scenario_named(settings, name) for name in names or bootstrap.scenarios(settings)]
    wanted = [each for each in found if tier is Tier.FULL or each.tier is tier]
    if not wanted:
        which = f"scenarios of tier {tier}" if found else "scenarios"
        raise UsageError(f"expected {which} in {settings.scenarios_dir}, found none to verify")
    return wanted


async def _run(lab: Lab, trial: Trial, seed: int) -> Result:
    from lab.investigation.verify import Result

    started = time.monotonic()
    case = await run_one(lab, trial.to_run, seed)
    return Result(trial, case, time.monotonic() - started)


def _print(result: Result, *, explain: bool) -> None:
    from lab.terminal.tables import misses_table, proof_table
    from lab.terminal.verify_table import result_line

    console.print(result_line(result), soft_wrap=True)
    if explain or result.verdict is not ProofVerdict.PROVEN:
        console.print(proof_table(result.proof))
    if explain and result.trial.twin is None:
        console.print(misses_table(result.case))


def _row(result: Result) -> dict[str, object]:
    """What a program may read of a run: of a twin what it is about, and its one finding."""
    twin = result.trial.twin
    case = replace(result.case, scenario=result.trial.scenario, proof=result.proof)
    return {
        **summary(case, reveal=True),
        "twin": twin.name if twin else None,
        "verdict": result.verdict.value,
    }


def _write(done: Sequence[Result], settings: Settings, junit: Path | None) -> None:
    from lab.terminal.junit import junit_xml
    from lab.terminal.verify_table import summary_markdown

    target = junit or settings.state_dir / "junit.xml"
    runs = ((each.trial.name, each.proof, each.took_s) for each in done)
    for path, text in (
        (target, junit_xml(runs)),
        (settings.state_dir / "verify.md", summary_markdown(done)),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        notes.print(f"{'JUnit XML' if path == target else 'summary'}: {path}", soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add this command to ``app``."""
    add_command(app, verify, "lab verify db-timeout --explain")
