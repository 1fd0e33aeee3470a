"""Commands that read and solve cases; they need case folders only, no stack."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from lab import bootstrap
from lab.commands.common import (
    JsonOption,
    RevealOption,
    add_command,
    console,
    lab_command,
    notes,
    print_json,
)
from lab.domain.case import Telemetry
from lab.domain.mechanism import Mechanism, Scope
from lab.errors import CaseError, NotEarned, UsageError
from lab.settings import Settings

if TYPE_CHECKING:
    from lab.domain.accusation import Accusation
    from lab.domain.case import Case
    from lab.domain.replay import Replay

CaseOption = Annotated[
    str | None, typer.Option("--case", "-c", help="Which case; the newest where not given.")
]


def cases(as_json: JsonOption = False) -> None:
    """List the cases of this checkout, newest first."""
    from lab.terminal.tables import case_rows, case_table

    archive = bootstrap.archive(Settings())
    found, leftovers = archive.cases(), archive.leftovers()
    if as_json:
        print_json(case_rows(found))
    elif found:
        console.print(case_table(found))
    else:
        console.print(f"no case yet: `{lab_command()} run db-timeout` makes one")
    if leftovers:
        notes.print(
            f"runs that became no case: {len(leftovers)}; "
            f"`{lab_command()} journal {leftovers[0]}` tells of the newest"
        )


def traces(
    case_id: Annotated[str | None, typer.Argument(metavar="[CASE]")] = None,
    outcome: Annotated[
        str | None, typer.Option(help="ok, error (5xx or no answer) or rejected (4xx).")
    ] = None,
    route: Annotated[str | None, typer.Option(help="e.g. 'POST /checkout'.")] = None,
    window: Annotated[str | None, typer.Option(help="before, incident or after.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Whose request it was.")] = None,
    service: Annotated[str | None, typer.Option(help="One that the trace reached.")] = None,
    text: Annotated[
        str | None, typer.Option(help="In the route, an id, a span's name or attribute.")
    ] = None,
    min_ms: Annotated[float | None, typer.Option(help="At least so long.")] = None,
    max_ms: Annotated[float | None, typer.Option(help="At most so long.")] = None,
    slowest: Annotated[bool, typer.Option(help="Slowest first.")] = False,
    background: Annotated[
        bool, typer.Option("--background", help="Only what no request began, in order of time.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many rows.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List requests of a case whose traces are in its folder, or what no request began.

    Of a stranger's telemetry, which has no requests, all traces.
    """
    from lab.investigation.requests import RequestQuery, find_requests
    from lab.terminal.requests import request_rows, request_table

    query = RequestQuery(outcome, route, window, tenant, service, text, min_ms, max_ms)
    if background and (slowest or query != RequestQuery()):
        raise UsageError("expected no filter beside --background, which lists no requests")
    case = bootstrap.archive(Settings()).open(case_id)
    if isinstance(case, Telemetry):
        if outcome == "rejected" or query != RequestQuery(outcome):
            raise UsageError(
                f"expected only --outcome ok or error beside {case.case_id}, which has traces "
                "and no requests, so no routes and no windows"
            )
        _list_telemetry(case, limit, outcome, slowest=slowest, as_json=as_json)
        return
    if background:
        _list_background(case, limit, as_json=as_json)
        return
    sort = "latency" if slowest else "time"
    chosen = find_requests(case.evidence, query, sort=sort, descending=slowest)[:limit]
    if as_json:
        print_json(request_rows(case.evidence, chosen))
    else:
        console.print(request_table(case, chosen))


def _list_telemetry(
    case: Telemetry, limit: int, outcome: str | None, *, slowest: bool, as_json: bool
) -> None:
    from lab.terminal.telemetry import select_traces, telemetry_rows, telemetry_table

    found = select_traces(case.evidence, outcome=outcome, slowest=slowest, limit=limit)
    if as_json:
        print_json(telemetry_rows(found))
    else:
        console.print(telemetry_table(case, found, full=not console.is_terminal))


def _list_background(case: Case, limit: int, *, as_json: bool) -> None:
    from lab.investigation.background import background_rows, background_traces
    from lab.terminal.background import background_table

    found = background_traces(case.evidence, limit)
    if as_json:
        print_json(background_rows(case.evidence, found))
    else:
        console.print(background_table(case.evidence, found, full=not console.is_terminal))


def trace(
    trace_id: Annotated[str, typer.Argument(metavar="TRACE", help="An id, or how it begins.")],
    case_id: CaseOption = None,
    attributes: Annotated[bool, typer.Option(help="Show every attribute.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Print whole span ids.")] = False,
    wires: Annotated[
        bool, typer.Option("--wires", help="Give time on the wire rows of its own.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show one trace as a tree: status, duration, self time, wire time, what is missing."""
    from lab.adapters.otlp_json import trace_to_otlp
    from lab.investigation.resolve import resolve_trace
    from lab.terminal.trace_tree import trace_tree

    archive = bootstrap.archive(Settings())
    case = archive.open(case_id)
    found = resolve_trace(case.evidence, trace_id, archive.replays(case.case_id))
    if as_json:
        print_json(trace_to_otlp(found))
    else:
        console.print(
            trace_tree(found, case.evidence, attributes=attributes, full=full, wires=wires)
        )


def mechanisms() -> None:
    """Define the words an accusation may use, in the order in which to ask."""
    from lab.terminal.tables import mechanism_table

    console.print(mechanism_table())


def accuse(
    spans: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CASE] [TRACE SPAN]…", help="Ids, or how they begin."),
    ] = None,
    mechanism: Annotated[
        Mechanism | None, typer.Option(help="How it did it; `lab mechanisms` defines each.")
    ] = None,
    scope: Annotated[Scope | None, typer.Option(help="Whom it hit.")] = None,
    nobody: Annotated[bool, typer.Option("--nobody", help="Everything worked.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Name the span that did it, and how; exit 0 solved, 1 not yet."""
    from lab.investigation.solving import Solving
    from lab.terminal.tables import verdict_panel

    if mechanism is None:
        raise UsageError("expected --mechanism WORD, found none; `lab mechanisms` lists them")
    archive = bootstrap.archive(Settings())
    words = list(spans or ())
    known = {each.case_id for each in archive.cases()}
    case = archive.load(words.pop(0) if words and words[0] in known else None)
    replays = archive.replays(case.case_id)
    accusation = _accusation(case, words, mechanism, scope, nobody, replays)
    solving = Solving(archive, bootstrap.clock())
    _let_pass(solving.wait_s(case.case_id))
    judgement = solving.accuse(case, accusation)
    if as_json:
        print_json(
            {"case": case.case_id, "verdict": judgement.verdict.value, "text": judgement.text}
        )
    else:
        console.print(verdict_panel(judgement))
        if judgement.is_solved:
            console.print(f"`{lab_command()} debrief {case.case_id}` tells the whole story")
    raise typer.Exit(0 if judgement.is_solved else 1)


def _accusation(
    case: Case,
    words: list[str],
    mechanism: Mechanism,
    scope: Scope | None,
    nobody: bool,
    replays: tuple[Replay, ...],
) -> Accusation:
    from lab.domain.accusation import Accusation
    from lab.investigation.resolve import resolve_span, resolve_trace

    if nobody and words:
        raise UsageError(f"expected no span beside --nobody, got {' '.join(words)}")
    if not nobody and (not words or len(words) % 2):
        raise UsageError(
            f"expected pairs of TRACE SPAN (or --nobody), got {' '.join(words) or 'nothing'}"
        )
    pairs = []
    for trace_id, span_id in zip(words[::2], words[1::2], strict=True):
        found = resolve_trace(case.evidence, trace_id, replays)
        pairs.append((found.trace_id, resolve_span(found, span_id, replays).span_id))
    return Accusation(tuple(pairs), mechanism, nobody, scope)


def _let_pass(wait_s: float) -> None:
    """Wait as long as a wrong accusation delays the next one, and say so."""
    if wait_s > 0:
        notes.print(f"a wrong accusation delays the next one: it is heard in {wait_s:.0f} s")
        time.sleep(wait_s)


def _is_solved(case_id: str) -> bool:
    return any(
        each.solved for each in bootstrap.archive(Settings()).cases() if each.case_id == case_id
    )


def _solved_or(reveal: bool, case: Case, what: str) -> None:
    if not reveal and not _is_solved(case.case_id):
        raise CaseError(
            f"{what} names the culprit, and {case.case_id} is not solved yet; "
            "accuse somebody first, or say --reveal"
        )


def proof(
    case_id: Annotated[str | None, typer.Argument(metavar="[CASE]")] = None,
    explain: Annotated[bool, typer.Option(help="Print the truth's nearest misses.")] = False,
    reveal: RevealOption = False,
    as_json: JsonOption = False,
) -> None:
    """Print every finding with expected and measured numbers, once the case is solved."""
    from lab.terminal.tables import misses_table, proof_rows, proof_table

    case = bootstrap.archive(Settings()).load(case_id)
    _solved_or(reveal, case, "the proof")
    if as_json:
        print_json({"verdict": case.proof.verdict.value, "findings": proof_rows(case.proof)})
    else:
        console.print(proof_table(case.proof))
        console.print(case.proof.verdict.value)
        if explain:
            console.print(misses_table(case))


def briefing(case_id: Annotated[str | None, typer.Argument(metavar="[CASE]")] = None) -> None:
    """Read the pager message again."""
    from rich.markdown import Markdown

    from lab.investigation.briefing import briefing as text

    console.print(Markdown(text(bootstrap.archive(Settings()).load(case_id))))


def debrief(
    case_id: Annotated[str | None, typer.Argument(metavar="[CASE]")] = None,
    give_up: Annotated[
        bool, typer.Option("--give-up", help="Read it unsolved; the case then brings no points.")
    ] = False,
    reveal: RevealOption = False,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print a post-mortem as Markdown, to be kept.")
    ] = False,
) -> None:
    """Read what happened and how the spans prove it, once the case is solved or given up."""
    from rich.markdown import Markdown

    from lab.investigation.case_logs import read_logs
    from lab.investigation.debriefing import debriefing
    from lab.investigation.post_mortem import post_mortem
    from lab.investigation.solving import Solving

    archive = bootstrap.archive(Settings())
    case = archive.load(case_id)
    solving = Solving(archive, bootstrap.clock())
    if give_up:
        solving.give_up(case.case_id)
    ledger = solving.ledger(case.case_id)
    if not (reveal or ledger.may_see_answers):
        raise NotEarned(
            f"the debrief names the culprit, and {case.case_id} is not solved yet; accuse "
            "somebody first, or say --give-up"
        )
    lines = read_logs(case.evidence, archive.logs(case.case_id))
    text = post_mortem(case, ledger, debriefing(case, ledger, lines))
    if as_markdown:
        typer.echo(text)
    else:
        console.print(Markdown(text))


def hint(
    number: Annotated[
        int | None, typer.Argument(min=1, help="1 nudges, the last one solves; none lists them.")
    ] = None,
    case_id: CaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the case's hints and their cost, or read one; they cost points only when you solve it.

    A hint that was read stays readable and is charged once; after solving all are free.
    """
    from lab.investigation.hints import offered_hints
    from lab.investigation.solving import Solving
    from lab.terminal.tables import hint_table

    archive = bootstrap.archive(Settings())
    case = archive.load(case_id)
    solving = Solving(archive, bootstrap.clock())
    if number is not None:
        solving.read_hint(case, number)
    offered = offered_hints(case.scenario, solving.ledger(case.case_id))
    shown = offered if number is None else (offered[number - 1],)
    if as_json:
        print_json([asdict(each) for each in shown])
    elif number is None:
        console.print(hint_table(offered))
    else:
        console.print(f"{number} of {len(offered)}: {offered[number - 1].text}")


def journal(
    case_id: Annotated[str | None, typer.Argument(metavar="[CASE]")] = None,
    reveal: RevealOption = False,
    as_json: JsonOption = False,
) -> None:
    """Read what a run wrote down, step by step, and how it ended.

    Without CASE that is the newest run, be it a case, one that deviated, one that was
    interrupted, or one that is still at work.
    """
    from lab.terminal.journal import journal_rows, journal_table

    run = bootstrap.archive(Settings()).run_record(case_id)
    shown = reveal or _is_solved(run.case_id)
    if as_json:
        print_json(journal_rows(run, reveal=shown))
    else:
        console.print(journal_table(run, reveal=shown))
        if not shown:
            notes.print("what was hurt is left out: the case is not solved (--reveal shows it)")


def register(app: typer.Typer) -> None:
    """Add these commands to ``app``."""
    add_command(app, cases, "lab cases")
    add_command(app, briefing, "lab briefing")
    add_command(app, traces, "lab traces --route 'POST /checkout' --slowest --limit 5")
    add_command(app, trace, "lab trace 4bf92f35 --attributes")
    add_command(app, mechanisms, "lab mechanisms")
    add_command(app, hint, "lab hint 1")
    add_command(app, accuse, "lab accuse 4bf92f35 00f067aa --mechanism timeout")
    add_command(app, proof, "lab proof --explain")
    add_command(app, debrief, "lab debrief")
    add_command(app, journal, "lab journal --json")
