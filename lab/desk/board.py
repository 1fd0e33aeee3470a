"""The board: every scenario by difficulty, what became of its cases, and a run while it runs."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, StreamingResponse

from lab import bootstrap
from lab.desk.desk import Desk, TheDesk
from lab.desk.guard import check_token
from lab.desk.pages import page
from lab.desk.runs import Run
from lab.domain.case import CaseSummary
from lab.domain.ids import NUMBERED
from lab.domain.journal import Step
from lab.domain.verdict import EXAMPLE_LEVEL
from lab.errors import PreconditionError, UnknownCase, UsageError
from lab.frozen import dataclass
from lab.investigation.solving.choice import unsolved

LOOK_EVERY_S: Final = 0.25
BEAT_EVERY_S: Final = 15.0
"""A comment into a silent stream now and then keeps what lies between from closing it."""

STATES: Final = ("new", "open", "solved", "given up")

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Row:
    """A scenario and its cases, newest first; of those without a scenario there is no row."""

    number: int
    scenario_id: str
    title: str
    difficulty: int
    skill: str
    is_recorded: bool
    cases: tuple[CaseSummary, ...]
    has_recording: bool

    @property
    def state(self) -> str:
        """``new``, ``open``, ``given up`` or ``solved``: the best its cases came to."""
        # Who gave up and was right afterwards has no points; the worked example has none to give.
        is_example = self.difficulty == EXAMPLE_LEVEL
        if any(case.solved and (case.points or is_example) for case in self.cases):
            return "solved"
        if not self.cases:
            return "new"
        return "open" if any(case.points is None for case in self.cases) else "given up"

    @property
    def points(self) -> int:
        """The most that one of its cases brought."""
        return max((case.points or 0 for case in self.cases), default=0)

    def says(self, text: str) -> bool:
        """Whether its title, or the id of a case of it, holds the text, in whatever case."""
        told = (self.title, *(case.case_id for case in self.cases))
        return any(text.strip().lower() in each.lower() for each in told)


@dataclass(frozen=True, slots=True)
class Level:
    """What is shown of a level, and how many of all its cases are solved."""

    number: int
    rows: tuple[Row, ...]
    solved: int
    count: int


@router.get("/")
def board(
    request: Request,
    desk: TheDesk,
    level: Annotated[Literal["", "0", "1", "2", "3", "4", "5"], Query()] = "",
    state: Annotated[Literal["", "new", "open", "solved", "given up"], Query()] = "",
    q: Annotated[str, Query(max_length=200)] = "",
) -> HTMLResponse:
    """Everything there is to solve, easiest first; or what fits a level, a state and a text."""
    cases = desk.archive.cases()
    rows = _rows(desk, cases)
    shown = [
        row
        for row in rows
        if level in {"", str(row.difficulty)} and state in {"", row.state} and row.says(q)
    ]
    known = {row.scenario_id for row in rows}
    context = {
        "levels": [_level(n, rows, shown) for n in range(6)],
        "shown": len(shown),
        "asked": {"level": level, "state": state, "q": q},
        "states": STATES,
        "imports": [each for each in cases if each.is_imported],
        "others": [
            each for each in cases if not each.is_imported and each.scenario_id not in known
        ],
        "points": sum(row.points for row in rows),
        "solved": sum(row.state == "solved" for row in rows),
        "count": len(rows),
        "obstacle": desk.runs.obstacle(),
        "at_work": desk.runs.at_work,
        "is_harm_stopped": desk.runs.is_harm_stopped(),
        "is_up": bootstrap.stack_answers(desk.settings),
    }
    return page(request, "board.html", context)


@router.post("/practice", dependencies=[Depends(check_token)])
def practise(desk: TheDesk, number: Annotated[int, Form()]) -> RedirectResponse:
    """Open the recording of that case, which needs no stack, and lead to its room.

    Practised before, it is the case of then, with all that was found out so far.
    """
    from lab.adapters.cases.bring import bring_file

    numbered = {each.number: each for each in desk.runs.scenarios().values()}
    if number not in numbered:
        raise UsageError(f"expected a case of the board, got number {number}")
    recording = desk.runs.recordings().get(numbered[number].id)
    if recording is None:
        raise PreconditionError(
            f"expected a recording of “{numbered[number].title}”, found none; run it instead"
        )
    brought = bring_file(bootstrap.archive(desk.settings), recording, called=NUMBERED)
    return RedirectResponse(f"/cases/{brought.case_id}", 303)


@router.post("/runs", dependencies=[Depends(check_token)])
def start(
    desk: TheDesk,
    number: Annotated[int | None, Form()] = None,
    level: Annotated[int | None, Form()] = None,
) -> RedirectResponse:
    """Run that case, or one of the level that is not solved, and lead to its progress."""
    if number is None:
        number = _unsolved_of(desk, level)
    return RedirectResponse(f"/runs/{desk.runs.start(number).number}", 303)


def _unsolved_of(desk: Desk, level: int | None) -> int:
    known = desk.runs.scenarios()
    levels = {each.id: each.difficulty for each in known.values() if not each.is_recorded}
    found = () if level is None else unsolved(level, levels, desk.archive.cases())
    if not found:
        got = "neither" if level is None else level
        raise UsageError(f"expected a case's number, or a level that has cases, got {got}")
    return known[secrets.choice(found)].number


@router.post("/harm/stop", dependencies=[Depends(check_token)])
async def stop_harm(desk: TheDesk) -> RedirectResponse:
    """Pull the safety lever: every lease ends at once, and a run with it."""
    async with bootstrap.lever(desk.settings) as lever:
        await lever.stop()
    return RedirectResponse("/", 303)


@router.post("/harm/allow", dependencies=[Depends(check_token)])
async def allow_harm(desk: TheDesk) -> RedirectResponse:
    """Put the safety lever back."""
    async with bootstrap.lever(desk.settings) as lever:
        await lever.allow()
    return RedirectResponse("/", 303)


@router.get("/cases/{case_id}/delete")
def ask_to_delete(request: Request, desk: TheDesk, case_id: str) -> HTMLResponse:
    """What would be gone, before it is."""
    return page(request, "delete.html", {"it": _summary(desk, case_id)})


@router.post("/cases/{case_id}/delete", dependencies=[Depends(check_token)])
def delete(desk: TheDesk, case_id: str) -> RedirectResponse:
    """Remove the case for good."""
    desk.archive.delete(_summary(desk, case_id).case_id)
    return RedirectResponse("/", 303)


def _summary(desk: Desk, case_id: str) -> CaseSummary:
    for each in desk.archive.cases():
        if each.case_id == case_id:
            return each
    raise UnknownCase(f"expected a case of the board, got {case_id!r}: it may be deleted already")


@router.get("/runs/{number}")
def run(request: Request, desk: TheDesk, number: int) -> HTMLResponse:
    """How far the run is; looked at again by itself, by script or without."""
    return page(request, "run.html", {"run": _run(desk, number), "steps": list(Step)})


@router.get("/runs/{number}/events")
async def events(request: Request, desk: TheDesk, number: int) -> StreamingResponse:
    """What the run tells, as server-sent events; after a break from where it was left."""
    found = _run(desk, number)
    last = request.headers.get("last-event-id", "")
    start_at = int(last) + 1 if last.isdecimal() else 0
    return StreamingResponse(_stream(request, found, start_at), media_type="text/event-stream")


async def _stream(request: Request, run: Run, number: int) -> AsyncIterator[str]:
    """https://html.spec.whatwg.org/multipage/server-sent-events.html."""
    silent_s = 0.0
    while not await request.is_disconnected():
        # Asked before the events are read: what comes in between is sent before the end.
        is_over = run.exit_code is not None
        for event in run.events[number:]:
            yield f"id: {number}\ndata: {json.dumps(event)}\n\n"
            number, silent_s = number + 1, 0.0
        if is_over:
            return
        await asyncio.sleep(LOOK_EVERY_S)
        silent_s += LOOK_EVERY_S
        if silent_s >= BEAT_EVERY_S:
            silent_s = 0.0
            yield ": still there\n\n"


def _run(desk: Desk, number: int) -> Run:
    last = desk.runs.last
    if last is None or last.number != number:
        raise UnknownCase(
            f"expected the last run this desk has started, got run {number}; "
            "`lab journal` tells of the others"
        )
    return last


def _level(number: int, rows: list[Row], shown: list[Row]) -> Level:
    of_it = [row for row in rows if row.difficulty == number]
    solved = sum(row.state == "solved" for row in of_it)
    return Level(number, tuple(row for row in of_it if row in shown), solved, len(of_it))


def _rows(desk: Desk, cases: Sequence[CaseSummary]) -> list[Row]:
    recorded = desk.runs.recordings()
    return [
        Row(
            number=each.number,
            scenario_id=each.id,
            title=each.title,
            difficulty=each.difficulty,
            skill=each.skill,
            is_recorded=each.is_recorded,
            cases=tuple(case for case in cases if case.scenario_id == each.id),
            has_recording=each.id in recorded,
        )
        for each in sorted(desk.runs.scenarios().values(), key=lambda each: each.number)
    ]
