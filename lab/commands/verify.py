"""The command that proves cases and their twins: verify."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab import bootstrap
from lab.adapters.run_lock import run_lock
from lab.adapters.verify_log import VerifyTable
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
from lab.settings import CHECKOUT, Settings

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
    repeat: Annotated[
        int | None,
        typer.Option(
            min=1, max=100, help="Run all so many times, and keep each in bench/verify.md."
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Leave out what has enough rows there.")
    ] = False,
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

    settings = Settings()
    if resume and repeat is None:
        raise UsageError("expected --repeat N beside --resume: so many proven rows for each")
    todo = trials(_wanted(settings, names or (), tier), twins=twins, shuffle=shuffle)
    table = None if repeat is None else VerifyTable(CHECKOUT, bootstrap.scenarios(settings))
    if table is not None and repeat is not None:
        todo = table.missing(todo, wanted=repeat) if resume else todo * repeat
    done: list[Result] = []

    async def main() -> None:
        async with bootstrap.lab(settings) as lab:
            for trial in todo:
                done.append(await _run(lab, trial, seed))
                if table is not None:
                    table.add(done[-1])
                if not as_json:
                    _print(done[-1], explain=explain)

    try:
        if todo:
            with run_lock(settings.run_dir, "`lab verify`"):
                up()
                run_async(main)
    finally:  # What was proven before a part died, or somebody had enough, is told all the same.
        _tell(done, settings, junit, as_json=as_json)
    raise typer.Exit(max((result.verdict.exit_code for result in done), default=0))


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


def _tell(done: Sequence[Result], settings: Settings, junit: Path | None, *, as_json: bool) -> None:
    """The pass rates, or JSON; and both files for a CI."""
    from lab.terminal.junit import junit_xml
    from lab.terminal.verify_table import pass_rates, summary_markdown

    if as_json:
        print_json([_row(result) for result in done])
    elif not done:
        notes.print("nothing to do: each has as many proven rows as were asked for")
    elif len(done) > 1:
        console.print("\n".join(pass_rates(done)))
    runs = [(each.trial.name, each.proof, each.took_s) for each in done]
    _write("JUnit XML", junit or settings.state_dir / "junit.xml", junit_xml(runs))
    _write("summary", settings.state_dir / "verify.md", summary_markdown(done))


def _write(what: str, path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    notes.print(f"{what}: {path}", soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add this command to ``app``."""
    add_command(app, verify, "lab verify db-timeout --explain")
