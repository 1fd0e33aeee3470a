"""The command that runs a case: run."""

from __future__ import annotations

import contextlib
import secrets
import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

import anyio
import typer
from rich.console import Group
from rich.panel import Panel
from rich.text import Text

from lab import bootstrap
from lab.adapters.cases.run_lock import run_lock
from lab.commands.common import (
    JsonOption,
    RevealOption,
    console,
    lab_command,
    notes,
    print_json,
    run_async,
    seconds,
)
from lab.commands.grafana import show_case
from lab.commands.stack import build_tools, up
from lab.domain.ids import NUMBERED, is_numbered
from lab.domain.instrumentation import Instrumentation
from lab.domain.proof import Outcome, ProofVerdict
from lab.domain.symptom import Harm
from lab.domain.variation import AS_WRITTEN_SEED
from lab.errors import HarmStopped, LeaseGone, UsageError
from lab.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lab.adapters.cases.archive import FolderArchive
    from lab.domain.case import Case
    from lab.domain.scenario import Scenario
    from lab.investigation.running.run_case import Lab
    from lab.terminal.run_display import RunEvents

HEADLINES: Final = {
    ProofVerdict.PROVEN: "PROVEN: the case is fair, every finding holds",
    ProofVerdict.REFUTED: "REFUTED: it did not happen as the case says",
    ProofVerdict.INCOMPLETE: "INCOMPLETE: the evidence does not allow a verdict",
}

AT_THE_EDGE: Final = {
    ProofVerdict.PROVEN: "THE SAME CRIME, with less written down; only full instrumentation "
    "can prove that the case is fair",
    ProofVerdict.REFUTED: "ANOTHER CRIME: the edge did not see what the case says",
    ProofVerdict.INCOMPLETE: HEADLINES[ProofVerdict.INCOMPLETE],
}

AFFECTED: Final = {
    Harm.ERROR: "--outcome error",
    Harm.REJECTION: "--outcome rejected",
    Harm.SLOWNESS: "--slowest",
    Harm.EMPTINESS: "--window incident",
    Harm.SHOWING: "--window incident",
    Harm.LACKING: "--window incident",
    Harm.RECORDED: "--window incident",
}
"""How `lab traces` lists the requests that a symptom hit."""


MIN_LEVEL: Final = 0
MAX_LEVEL: Final = 5

SeedOption = Annotated[
    int,
    typer.Option(
        help="The same seed deals the same load, and varies the case in the same way; "
        f"with {AS_WRITTEN_SEED} it is as written."
    ),
]


def scenario_named(settings: Settings, name: str, seed: int = AS_WRITTEN_SEED) -> Scenario:
    """The scenario ``name`` as ``seed`` varies it.

    UsageError suggests near names, and says why a case cannot be run on this stack.
    """
    from lab.domain.wording import near_names
    from lab.scenario_file import varied

    known = bootstrap.scenarios(settings)
    if name in known:
        if known[name].is_recorded:
            raise UsageError(
                f"expected a scenario that can be run, got {name}, which happened once and is "
                f"recorded; `{lab_command()} practice {name}` opens it"
            )
        if need := missing_here(settings, known[name]):
            wanted, found = ("STACK=local", f"STACK={settings.stack}")
            if settings.store != "tempo":
                wanted, found = ("STORE=tempo", f"STORE={settings.store}")
            raise UsageError(f"expected {wanted} for {name}, which needs {need}; found {found}")
        return varied(known[name], seed)
    near = near_names(name, known)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(sorted(known))}"
    raise UsageError(f"expected a scenario of {settings.scenarios_dir.name}/, got {name!r}: {hint}")


def missing_here(settings: Settings, scenario: Scenario) -> str:
    """What a case needs and this stack has not; empty where it can be run."""
    from lab.shop.collector import COLLECTOR, SETTING

    if beyond := bootstrap.searches_beyond(settings, scenario):
        return f"TraceQL, and so Tempo, for {beyond}"
    if settings.stack == "local":
        return ""
    if any(shape.jobs for shape in scenario.load.values()):
        return "somebody who asks the database at a port of this machine"
    if f"{COLLECTOR}.{SETTING}" in scenario.conditions:
        return "a Collector that reads other settings while it runs"
    return ""


def all_here(settings: Settings) -> Iterator[Scenario]:
    """All that this stack can run; whatever is left out is told."""
    for scenario in bootstrap.scenarios(settings).values():
        if scenario.is_recorded:
            continue  # It happened once; its proof lies in its recording.
        if need := missing_here(settings, scenario):
            notes.print(f"skipped: {scenario.id} needs {need}, found STACK={settings.stack}")
        else:
            yield scenario


async def run_one(
    lab: Lab,
    scenario: Scenario,
    seed: int,
    is_open: Callable[[Case], bool] | None = None,
    events: RunEvents | None = None,
    level: Instrumentation = Instrumentation.FULL,
    called: str | None = None,
) -> Case:
    """Run one case with a live display of its progress; again where the machine was too busy.

    ``is_open`` asks of a run whether it was; by default of its whole proof. With ``events``
    the progress goes there instead. ``called`` is what the case is named after, if not after
    its scenario.
    """
    from lab.investigation.running.retry import decided
    from lab.investigation.running.run_case import CaseRun
    from lab.terminal.run_display import RunDisplay

    async def run_once() -> Case:
        with events or RunDisplay(notes, scenario) as display:
            case_id = lab.archive.next_case_id(called or scenario.id)
            run = CaseRun(
                lab,
                scenario,
                case_id=case_id,
                seed=seed,
                observer=display,
                instrumentation=level,
            )
            return await run.run()

    return await decided(
        run_once,
        machine=lab.machine,
        clock=lab.clock,
        say=events.note if events else notes.print,
        is_open=is_open,
    )


def summary(case: Case, reveal: bool) -> dict[str, object]:
    """What a program may read of a run; findings, which name things, only with ``reveal``."""
    from lab.terminal.proof_tables import proof_rows

    found: dict[str, object] = {
        "case": case.case_id,
        "scenario": case.scenario.id if reveal or not is_numbered(case.case_id) else None,
        "seed": case.seed,
        "instrumentation": case.instrumentation.value,
        "verdict": case.proof.verdict.value,
        "findings": {outcome.value: case.proof.count(outcome) for outcome in Outcome},
        "support_code": case.support_code,
    }
    if reveal:
        found["proof"] = proof_rows(case.proof)
    return found


def print_opened(case: Case, reveal: bool, *, stack: bool = True) -> None:
    """The briefing, the verdict with a count of findings, and where to look next.

    ``stack`` says whether the case was run just now, so that there is one.
    """
    from rich.markdown import Markdown

    from lab.investigation.solving.briefing import briefing
    from lab.terminal.exhibits import Footnotes
    from lab.terminal.proof_tables import proof_table

    notes_below = Footnotes(lab_command(), case.case_id)
    text = Markdown(briefing(case, notes_below), hyperlinks=False)
    panel = Group(text, *notes_below.lines())
    console.print(Panel(panel, title=Text(case.scenario.title), padding=(1, 2)))
    proof = case.proof
    headlines = HEADLINES if case.instrumentation is Instrumentation.FULL else AT_THE_EDGE
    console.print(f"\n{headlines[proof.verdict]}")
    console.print(
        f"{len(proof.findings)} findings: {proof.count(Outcome.HOLDS)} hold, "
        f"{proof.count(Outcome.FAILS)} fail, {proof.count(Outcome.UNKNOWN)} unknown"
    )
    if reveal:
        console.print(proof_table(proof))
    elif proof.verdict is not ProofVerdict.PROVEN:
        console.print(f"`{lab_command()} proof {case.case_id} --reveal` says which and why")
    stays = " The stack stays up for you." if stack else ""
    console.print(f"\nCase {case.case_id} is open.{stays} Look next:")
    console.print(f"  {Settings().url('desk')}/cases/{case.case_id}", soft_wrap=True)
    for command, why in _next_commands(case):
        console.print(f"  {lab_command()} {command:<40}{why}".rstrip(), soft_wrap=True)


def _next_commands(case: Case) -> list[tuple[str, str]]:
    affected = AFFECTED[case.scenario.symptom.harm]
    scope = " --scope WORD" if case.scenario.asks_scope else ""
    return [
        (f"trace {case.support_code or 'TRACE'}", "the customer's request, span by span"),
        (f"traces {affected}", "who else was hit, and when"),
        ("mechanisms", "the words an accusation may use"),
        (f"accuse TRACE SPAN --mechanism WORD{scope}", ""),
    ]


async def hold(lab: Lab, scenario: Scenario, length_s: float, seed: int) -> None:
    """Put the case's harm in again for ``length_s``, to be watched live, with a countdown."""
    faults = (*scenario.ambient, *scenario.faults)
    if not faults and not scenario.conditions:
        notes.print("nothing to hold: this case changes neither edges nor settings")
        return
    with anyio.CancelScope(shield=True):  # else a Ctrl-C could leave it to nobody, at full length
        lease = await lab.warden.take(
            holder="hold",
            faults=faults,
            conditions=scenario.conditions,
            ttl_s=length_s,
            seed=seed,
        )
    try:
        with notes.status("") as line:
            while (current := await lab.warden.current()) and current.lease_id == lease.lease_id:
                minutes, rest = divmod(int(current.expires_in_s), 60)
                line.update(
                    f"held for another {minutes}:{rest:02d}; `make load` shows it live, "
                    "Ctrl-C or `make heal` ends it"
                )
                await lab.clock.sleep(0.5)
    finally:
        await _release(lab, lease.lease_id)
        notes.print("the hold is over, the shop is as before")
    if await lab.warden.is_harm_stopped():
        raise HarmStopped


async def _hold_in(settings: Settings, scenario: Scenario, length_s: float, seed: int) -> None:
    async with bootstrap.lab(settings) as lab:
        await hold(lab, scenario, length_s, seed)


async def _release(lab: Lab, lease_id: str) -> None:
    with anyio.CancelScope(shield=True):
        try:
            await lab.warden.release(lease_id)
        except LeaseGone:
            # It ended by itself or by `lab heal`; either way the harm is gone.
            return


LevelOption = Annotated[
    int | None,
    typer.Option(
        *("--level", "-l"),
        min=MIN_LEVEL,
        max=MAX_LEVEL,
        help="Instead of a scenario: one of this level, unsolved so far, called by a number.",
    ),
]


ByNumberOption = Annotated[
    bool, typer.Option("--by-number", help="Call the case by a number, not by its scenario.")
]


def drawn(level: int, levels: Mapping[str, int], archive: FolderArchive) -> str:
    """A scenario of that level which is not solved yet; UsageError where the level has none."""
    from lab.investigation.solving.choice import unsolved

    found = unsolved(level, levels, archive.cases())
    if not found:
        there = ", ".join(map(str, sorted(set(levels.values()))))
        raise UsageError(f"expected a level that has cases, got {level}; there are {there}")
    return secrets.choice(found)


def name_or_level(name: str | None, level: int | None) -> None:
    """Refuse none of them, and both."""
    if (name is None) is (level is None):
        got = "neither" if name is None else f"{name!r} and --level {level}"
        levels = f"--level {MIN_LEVEL} to {MAX_LEVEL}"
        raise UsageError(f"expected a scenario (db-timeout) or {levels}, got {got}")


def run(
    name: Annotated[str | None, typer.Argument(help="The scenario, e.g. db-timeout.")] = None,
    level: LevelOption = None,
    by_number: ByNumberOption = False,
    seed: SeedOption = AS_WRITTEN_SEED,
    hold_for: Annotated[
        str | None, typer.Option("--hold", metavar="TIME", help="Afterwards hurt it again: 10m.")
    ] = None,
    instrumentation: Annotated[
        Instrumentation, typer.Option(help="How much the shop writes down; only full is proven.")
    ] = Instrumentation.FULL,
    reveal: RevealOption = False,
    as_json: JsonOption = False,
    as_events: Annotated[
        bool, typer.Option("--events", help="Print the progress as JSON lines, for programs.")
    ] = False,
) -> None:
    """Hurt the shop as a scenario says, gather evidence, prove it, and open the case."""
    from lab.terminal.run_display import RunEvents
    from lab.warden.applying import MAX_TTL_S

    settings = Settings()
    name_or_level(name, level)
    hold_s = seconds(hold_for, at_most_s=MAX_TTL_S) if hold_for is not None else None
    scenario = _asked_for(settings, name, level, seed)
    is_told = name is not None and not by_number

    async def main() -> Case:
        async with bootstrap.lab(settings) as lab:
            events = RunEvents(sys.stdout) if as_events else None
            case = await run_one(
                *(lab, scenario, seed),
                events=events,
                level=instrumentation,
                called=None if is_told else NUMBERED,
            )
            if events:
                events.write("opened", **summary(case, reveal))
            elif as_json:
                print_json(summary(case, reveal))
            else:
                print_opened(case, reveal)
            await show_case(settings, case.evidence.windows)
        return case

    what = name if is_told else f"--level {scenario.difficulty}"
    with run_lock(settings.run_dir, f"`lab run {what}`"):
        _build_first(settings, scenario, is_told=is_told, is_for_people=not (as_json or as_events))
        up()
        case = run_async(main)
        if hold_s is not None:
            with contextlib.suppress(KeyboardInterrupt):  # the documented end of a hold
                run_async(partial(_hold_in, settings, scenario, hold_s, seed))
    raise typer.Exit(case.proof.verdict.exit_code)


def _asked_for(settings: Settings, name: str | None, level: int | None, seed: int) -> Scenario:
    if level is None:
        assert name is not None
        return scenario_named(settings, name, seed)
    levels = {
        each.id: each.difficulty
        for each in bootstrap.scenarios(settings).values()
        if not (each.is_recorded or missing_here(settings, each))
    }
    return scenario_named(settings, drawn(level, levels, bootstrap.archive(settings)), seed)


def _build_first(
    settings: Settings, scenario: Scenario, *, is_told: bool, is_for_people: bool
) -> None:
    """Where tools have to be built, have a recorded case open at the desk meanwhile.

    Where nobody watches, say only what can be solved in the meantime; `up` builds them.
    """
    from lab.adapters.cases.recording_file import recordings
    from lab.adapters.tools import toolbox

    wanted = toolbox.wanted(settings) if settings.stack == "local" else ()
    missing = [tool for tool in wanted if toolbox.find(tool, settings) is None]
    if not missing or scenario.id not in recordings(settings.scenarios_dir):
        return
    minutes = sum(tool.estimate_s for tool in missing) / 60
    built = f"{len(missing)} tools are built first, once, for about {minutes:.0f} minutes"
    if not (is_for_people and console.is_terminal and notes.is_terminal):
        words = f"NAME={scenario.id}" if is_told else f"LEVEL={scenario.difficulty}"
        which = "this very case" if is_told else "a case of its level"
        notes.print(
            f"{built}. Meanwhile, in another terminal, `make practice {words}` opens a recorded "
            f"run of {which}",
            soft_wrap=True,
        )
        return
    # It builds upon this module.
    from lab.commands.practice import open_recording, shown_beside

    case_id = open_recording(
        settings, scenario.id if is_told else None, None if is_told else scenario.difficulty
    )
    with shown_beside(settings, f"/cases/{case_id}"):
        notes.print(
            f"\n{built}. Meanwhile {case_id}, a recorded run, is yours to solve at that address; "
            "then the live run goes on here by itself",
            soft_wrap=True,
        )
        build_tools(settings)
    notes.print("built; the stack's own desk will be at the same address, with all you found")
