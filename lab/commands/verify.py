"""The command that proves cases and their twins: verify."""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab import bootstrap, umask
from lab.adapters.cases.run_lock import run_lock
from lab.commands.common import (
    JsonOption,
    console,
    notes,
    print_json,
    run_async,
)
from lab.commands.run import SeedOption, all_here, run_one, scenario_named, summary
from lab.commands.stack import up
from lab.domain.proof import ProofVerdict
from lab.domain.twin import Tier
from lab.domain.variation import AS_WRITTEN_SEED
from lab.errors import MachineStrained, UsageError
from lab.settings import CHECKOUT, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lab.adapters.cases.verify_log import VerifyTable
    from lab.domain.scenario import Scenario
    from lab.investigation.running.verify import Result, Trial


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
    seed: SeedOption = AS_WRITTEN_SEED,
    explain: Annotated[
        bool, typer.Option(help="Print every finding, and the truth's nearest misses.")
    ] = False,
    junit: Annotated[Path | None, typer.Option(help="JUnit XML; default .lab/junit.xml.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Prove that scenarios kill as they say: a line a run with its numbers, and JUnit XML."""
    from lab.adapters.cases.verify_log import VerifyTable
    from lab.investigation.running.verify import trials
    from lab.terminal.verify_table import pass_rates

    settings = Settings()
    if resume and repeat is None:
        raise UsageError("expected --repeat N beside --resume: so many proven rows for each")
    wanted = _wanted(settings, names or (), tier, seed)
    table = None if repeat is None else VerifyTable(CHECKOUT, bootstrap.scenarios(settings))
    todo = _todo(trials(wanted, twins=twins, shuffle=shuffle), table if resume else None, repeat)
    done: list[Result] = []

    def tell(result: Result) -> None:
        done.append(result.without_evidence())
        if table is not None:
            table.add(result)
        if not as_json:
            _print(result, explain=explain)

    try:
        if todo:
            with run_lock(settings.run_dir, "`lab verify`"):
                up()
                run_async(partial(run_all, settings, todo, seed, tell))
    finally:  # What was proven before a part died, or somebody had enough, is told all the same.
        if done:
            _write(done, settings, junit)
    if as_json:
        print_json([_row(result) for result in done])
    elif not done:
        notes.print("nothing to do: each has as many proven rows as were asked for")
    elif len(done) > 1:
        console.print("\n".join(pass_rates(done)))
    raise typer.Exit(max((result.verdict.exit_code for result in done), default=0))


def _wanted(settings: Settings, names: Sequence[str], tier: Tier, seed: int) -> list[Scenario]:
    from lab.scenario_file import varied

    if names:
        found = [scenario_named(settings, name, seed) for name in names]
    else:
        found = [varied(each, seed) for each in all_here(settings)]
    wanted = [each for each in found if tier is Tier.FULL or each.tier is tier]
    if not wanted:
        which = f"scenarios of tier {tier}" if found else "scenarios"
        raise UsageError(f"expected {which} in {settings.scenarios_dir}, found none to verify")
    return wanted


def _todo(
    each: tuple[Trial, ...], table: VerifyTable | None, repeat: int | None
) -> tuple[Trial, ...]:
    """So many rounds of all trials; less what the table has, where one is gone on with."""
    if table is not None and repeat is not None:
        return table.missing(each, wanted=repeat)
    return each * (repeat or 1)


async def run_all(
    settings: Settings, todo: Sequence[Trial], seed: int, tell: Callable[[Result], None]
) -> None:
    """Run each trial on the stack that is up, and ``tell`` what came of it, also of no case."""
    from lab.investigation.running.verify import Result

    async with bootstrap.lab(settings) as lab:
        for trial in todo:
            started = time.monotonic()
            try:
                case = await run_one(lab, trial.to_run, seed, trial.is_open)
            except MachineStrained as error:
                took_s = time.monotonic() - started
                tell(Result.of_none(trial, seed, error, lab.clock.unix(), took_s))
            else:
                tell(Result.of(trial, case, time.monotonic() - started))


def _print(result: Result, *, explain: bool) -> None:
    from lab.investigation.running.verify import NO_CASE
    from lab.terminal.proof_tables import misses_table, proof_table
    from lab.terminal.verify_table import result_line

    console.print(result_line(result), soft_wrap=True)
    if explain or result.verdict is not ProofVerdict.PROVEN:
        console.print(proof_table(result.proof))
        if result.case.case_id != NO_CASE:
            kept = Settings().cases_dir / result.case.case_id
            console.print(f"the case is kept: {kept}", soft_wrap=True)
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
    """Both files that a CI shows."""
    from lab.terminal.verify_table import junit_xml, summary_markdown

    runs = [(each.trial.name, each.proof, each.took_s) for each in done]
    target = junit or settings.state_dir / "junit.xml"
    texts = {"JUnit XML": (target, junit_xml(runs))}
    texts["summary"] = (settings.state_dir / "verify.md", summary_markdown(done))
    for what, (path, text) in texts.items():
        with umask.asked_for() if path is junit else contextlib.nullcontext():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        notes.print(f"{what}: {path}", soft_wrap=True)
