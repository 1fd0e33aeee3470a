"""Commands that solve a case: briefing to debrief. They need case folders only."""

from __future__ import annotations

import re
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from lab import bootstrap
from lab.commands.cases import CaseOption, may_see_answers
from lab.commands.common import (
    JsonOption,
    RevealOption,
    console,
    lab_command,
    notes,
    print_json,
)
from lab.domain.mechanism import Mechanism, Scope
from lab.errors import NotEarned, UsageError
from lab.settings import Settings

if TYPE_CHECKING:
    from lab.domain.case import Case
    from lab.domain.replay import Replay


def briefing(
    case_id: Annotated[str | None, typer.Argument(metavar="[CASE]")] = None,
    grafana: Annotated[
        bool, typer.Option("--grafana", help="Also where to begin in Grafana: a hint, for free.")
    ] = False,
) -> None:
    """Read the pager message again."""
    from rich.markdown import Markdown

    from lab.investigation.solving.briefing import briefing as text
    from lab.investigation.solving.exhibits import told_so_far
    from lab.investigation.solving.moves import Solving
    from lab.terminal.exhibits import Footnotes

    settings = Settings()
    archive = bootstrap.archive(settings)
    case = archive.load(case_id, at_once=False)
    notes_below = Footnotes(lab_command(), case.case_id)
    console.print(Markdown(text(case, notes_below), hyperlinks=False))
    path = bootstrap.grafana_path(settings, case.scenario.id) if grafana else None
    if grafana and path is None:
        notes.print("this case says nothing of Grafana")
    elif path is not None:
        ledger = Solving(archive, bootstrap.clock()).ledger(case.case_id)
        way = told_so_far(path, case, ledger, notes_below)
        console.print(Markdown(f"\n## In Grafana\n\n{way}", hyperlinks=False))
    for line in notes_below.lines():
        console.print(line)


def mechanisms() -> None:
    """Define the words an accusation may use, in the order in which to ask."""
    from lab.terminal.tables import mechanism_table

    console.print(mechanism_table())


def accuse(
    spans: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CASE] [TRACE SPAN]…",
            help="Ids or how they begin, an address of Grafana or the desk, or a traceparent.",
        ),
    ] = None,
    mechanism: Annotated[
        list[Mechanism] | None,
        typer.Option(
            metavar="WORD",
            help="How it did it; `lab mechanisms` defines each. Once for all spans, or once for "
            "each, in their order.",
        ),
    ] = None,
    scope: Annotated[
        Scope | None,
        typer.Option(help="Whom it hit; `lab briefing` says where it counts."),
    ] = None,
    nobody: Annotated[
        bool, typer.Option("--nobody", help="Everything worked; needs no span and no mechanism.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Name the span that did it, and how; exit 0 solved, 1 not yet.

    Two that did it together are named one after the other, each with a --mechanism.

    Where nobody did it: `lab accuse --nobody`.
    """
    from lab.domain.accusation import Accusation
    from lab.investigation.solving.moves import Solving
    from lab.terminal.tables import verdict_panel, verdict_row

    if not (mechanism or nobody):
        raise UsageError("expected --mechanism WORD, found none; `lab mechanisms` lists them")
    archive = bootstrap.archive(Settings())
    words = list(spans or ())
    known = {each.case_id for each in archive.cases()}
    case = archive.load(words.pop(0) if words and words[0] in known else None)
    pairs = _accused(case, words, archive.replays(case.case_id), nobody=nobody)
    try:
        accusation = Accusation(pairs, tuple(mechanism or ()), nobody, scope)
    except ValueError as error:
        raise UsageError(str(error)) from error
    solving = Solving(archive, bootstrap.clock())
    solving.refuse_unfinished(case, accusation)
    _let_pass(solving.wait_s(case.case_id))
    judgement = solving.accuse(case, accusation)
    if as_json:
        print_json(verdict_row(case, accusation, judgement))
    else:
        console.print(verdict_panel(judgement))
        if judgement.is_solved:
            console.print(f"`{lab_command()} debrief {case.case_id}` tells the whole story")
    raise typer.Exit(0 if judgement.is_solved else 1)


def _accused(
    case: Case, words: list[str], replays: tuple[Replay, ...], *, nobody: bool
) -> tuple[tuple[str, str], ...]:
    """Trace and span id of each that ``words`` name."""
    from lab.investigation.reading.ids import resolve_span, resolve_trace
    from lab.investigation.reading.pasted_links import resolve_suspect

    if nobody and words:
        raise UsageError(f"expected no span beside --nobody, got {' '.join(words)}")
    pairs = []
    rest = iter(words)
    for word in rest:
        if re.search(r"[^0-9a-zA-Z…]", word.strip()):  # More than an id: a paste, or both in one.
            pairs.append(resolve_suspect(case.evidence, word, replays))
            continue
        span_id = next(rest, None)
        if span_id is None:
            pairs = []
            break
        found = resolve_trace(case.evidence, word, replays)
        pairs.append((found.trace_id, resolve_span(found, span_id, replays).span_id))
    if not nobody and not pairs:
        raise UsageError(
            "expected pairs of TRACE SPAN, addresses of Grafana or the desk, a traceparent, or "
            f"--nobody, got {' '.join(words) or 'nothing'}"
        )
    return tuple(pairs)


def _let_pass(wait_s: float) -> None:
    """Wait as long as a wrong accusation delays the next one, and say so."""
    if wait_s > 0:
        notes.print(f"a wrong accusation delays the next one: it is heard in {wait_s:.0f} s")
        time.sleep(wait_s)


def _earned_or(reveal: bool, case: Case, what: str) -> None:
    if not reveal and not may_see_answers(case.case_id):
        raise NotEarned(
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
    from lab.terminal.proof_tables import misses_table, proof_rows, proof_table

    case = bootstrap.archive(Settings()).load(case_id, at_once=False)
    _earned_or(reveal, case, "the proof")
    if as_json:
        print_json({"verdict": case.proof.verdict.value, "findings": proof_rows(case.proof)})
    else:
        console.print(proof_table(case.proof))
        console.print(case.proof.verdict.value)
        if explain:
            console.print(misses_table(case))


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

    from lab.investigation.reading.logs import read_logs
    from lab.investigation.solving.debriefing import debriefing
    from lab.investigation.solving.moves import Solving
    from lab.investigation.solving.post_mortem import post_mortem
    from lab.terminal.exhibits import Footnotes

    archive = bootstrap.archive(Settings())
    # What cannot be read as a whole is not given up.
    case = archive.load(case_id, at_once=give_up)
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
    found = debriefing(case, ledger, lines)
    if as_markdown:
        typer.echo(post_mortem(case, ledger, found))
        return
    notes_below = Footnotes(lab_command(), case.case_id)
    console.print(Markdown(post_mortem(case, ledger, found, notes_below), hyperlinks=False))
    for line in notes_below.lines():
        console.print(line)


def exhibit(
    name: Annotated[str | None, typer.Argument(help="As a text of the case names it.")] = None,
    case_id: CaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what the words of a case rest on, or show one: measured, and the spans that show it.

    Of an open case only what the pager message rests on; of a closed one all.
    """
    from lab.investigation.solving.exhibits import may_be_seen, seen
    from lab.investigation.solving.moves import Solving
    from lab.terminal.exhibits import exhibit_rows, exhibit_view

    archive = bootstrap.archive(Settings())
    case = archive.load(case_id, at_once=False)
    ledger = Solving(archive, bootstrap.clock()).ledger(case.case_id)
    names = may_be_seen(case, ledger) if name is None else (name,)
    shown = [seen(case, ledger, each) for each in names]
    if as_json:
        print_json([exhibit_rows(case, each) for each in shown])
    elif name is not None:
        console.print(exhibit_view(shown[0]))
    else:
        for each in shown:
            console.print(Text(f"{each.name}: {each.claim}: {each.told}"))
        if not shown:
            notes.print("no exhibit is to be seen so far")


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
    from lab.investigation.solving.hints import offered_hints
    from lab.investigation.solving.moves import Solving
    from lab.terminal.tables import hint_table

    archive = bootstrap.archive(Settings())
    case = archive.load(case_id, at_once=False)
    solving = Solving(archive, bootstrap.clock())
    if number is not None:
        solving.read_hint(case, number)
    offered = offered_hints(case, solving.ledger(case.case_id))
    shown = offered if number is None else (offered[number - 1],)
    if as_json:
        print_json([asdict(each) for each in shown])
    elif number is None:
        console.print(hint_table(offered))
    else:
        console.print(f"{number} of {len(offered)}: {offered[number - 1].text}")
