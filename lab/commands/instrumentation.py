"""The command that runs one case under three levels of instrumentation: instrumentation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lab import bootstrap
from lab.adapters.cases.run_lock import run_lock
from lab.commands.common import JsonOption, console, notes, print_json, run_async
from lab.commands.run import SeedOption, run_one, scenario_named
from lab.commands.stack import up
from lab.domain.instrumentation import Instrumentation
from lab.domain.proof import ProofVerdict
from lab.domain.variation import AS_WRITTEN_SEED
from lab.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.investigation.proof.levels import Seen


def instrumentation(
    name: Annotated[str, typer.Argument(help="The scenario, e.g. pool-starvation.")],
    seed: SeedOption = AS_WRITTEN_SEED,
    as_json: JsonOption = False,
) -> None:
    """Run the same crime with no, zero-code and all spans, and show what each lets one see."""
    from lab.investigation.proof.levels import nameable, seen_in, verdict_of
    from lab.terminal.levels_table import level_rows

    settings = Settings()
    scenario = scenario_named(settings, name, seed)
    levels: list[Seen] = []

    async def main() -> None:
        async with bootstrap.lab(settings) as lab:
            for level in Instrumentation:
                notes.print(f"{name} at {level}")
                levels.append(seen_in(await run_one(lab, scenario, seed, level=level)))

    with run_lock(settings.run_dir, f"`lab instrumentation {name}`"):
        up()
        run_async(main)
    verdict = verdict_of(levels)
    if as_json:
        rows = level_rows(levels)
        print_json({"verdict": verdict.value, "nameable": nameable(levels), "levels": rows})
    else:
        _print(levels, verdict)
    raise typer.Exit(verdict.exit_code)


def _print(levels: Sequence[Seen], verdict: ProofVerdict) -> None:
    """The table, the doubtful findings of each level, and what follows."""
    from lab.investigation.proof.levels import nameable
    from lab.terminal.levels_table import level_table
    from lab.terminal.proof_tables import proof_table

    console.print(level_table(levels))
    for seen in levels:
        if seen.case.proof.verdict is not ProofVerdict.PROVEN:
            console.print(f"\n{seen.level}: {seen.case.proof.verdict}")
            console.print(proof_table(seen.case.proof))
    console.print(f"\n{nameable(levels)}")
    if verdict is not ProofVerdict.PROVEN:
        console.print(f"{verdict.value.upper()}: not every level is as the scenario says")
