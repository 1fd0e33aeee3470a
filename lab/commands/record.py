"""The command that keeps a proven case beside its scenario: record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lab import bootstrap
from lab.adapters.cases.run_lock import run_lock
from lab.commands.common import console, run_async
from lab.commands.run import HEADLINES, run_one, scenario_named
from lab.commands.stack import up
from lab.domain.instrumentation import Instrumentation
from lab.domain.proof import ProofVerdict
from lab.errors import UsageError
from lab.settings import Settings

if TYPE_CHECKING:
    from lab.domain.case import Case
    from lab.domain.scenario import Scenario


def record(
    name: Annotated[str, typer.Argument(help="The scenario, e.g. db-timeout.")],
    seed: Annotated[int, typer.Option(help="The same seed deals the same load.")] = 1,
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
) -> None:
    """Prove a case and keep it beside its scenario, to practise on; nothing unless proven."""
    from lab.adapters.cases.recording_file import (
        RECORDING,
        pack_case,
        read_recording,
        write_recording,
    )
    from lab.investigation.running.recording import of_todays, recorded

    if refresh and case_id is not None:
        raise UsageError("expected --refresh or --case, got both: each says what to record")
    settings = Settings()
    scenario = scenario_named(settings, name)
    archive = bootstrap.archive(settings)
    target = settings.scenarios_dir / name / RECORDING
    if refresh:
        case = of_todays(scenario, read_recording(target))
    else:
        case = _run(settings, scenario, seed) if case_id is None else archive.load(case_id)
    if case.scenario != scenario or case.instrumentation is not Instrumentation.FULL:
        raise UsageError(
            f"expected a case of {name} as its files are now, not varied by a seed and with all "
            f"its spans, got {case.case_id}; without --case it is run anew"
        )
    if case.proof.verdict is ProofVerdict.PROVEN:
        packed = recorded(case, pack_case)
        write_recording(target, packed)
        console.print(f"{case.case_id}: {len(packed) / 1024:.0f} KiB in {target}", soft_wrap=True)
    else:
        console.print(f"{case.case_id}: {HEADLINES[case.proof.verdict]}; nothing was written")
    raise typer.Exit(case.proof.verdict.exit_code)


def _run(settings: Settings, scenario: Scenario, seed: int) -> Case:
    async def main() -> Case:
        async with bootstrap.lab(settings) as lab:
            return await run_one(lab, scenario, seed)

    with run_lock(settings.run_dir, f"`lab record {scenario.id}`"):
        up()
        return run_async(main)
