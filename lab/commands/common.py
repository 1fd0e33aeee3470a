"""What every command needs: settings, consoles, one way to run async code and print JSON."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from lab.commands import hangup
from lab.domain.wording import visible
from lab.errors import UsageError

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from lab.domain.case import CaseFile
    from lab.domain.evidence import Sight

_AGO: Final = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>[smhd])")
_UNIT_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def moment_s(text: str, now_s: float) -> float:
    """``now``, ``15m`` (so long ago), or ISO 8601 (local time unless it says), as Unix seconds."""
    if text == "now":
        return now_s
    if ago := _AGO.fullmatch(text):
        return now_s - float(ago["number"]) * _UNIT_S[ago["unit"]]
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError) as error:
        raise UsageError(
            "expected a moment such as 15m (ago), now, 2026-03-01T14:02 or "
            f"2026-03-01T13:02:00Z, got {text!r}"
        ) from error


T = TypeVar("T")

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
RevealOption = Annotated[
    bool, typer.Option("--reveal", help="Name edges, toxics and culprits: spoils the case.")
]

_PIPED_WIDTH: Final = 160
"""Columns where nobody watches: wide enough that no table folds under a `grep`."""


class _SafeConsole(Console):
    """Shows foreign text as text, whatever was put into a table, a message or a Markdown of it."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        """What Rich makes of it, each piece `visible`."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else visible(text), style, control)

    def print(self, *objects: Any, **how: Any) -> None:
        """As Rich prints, but nothing is cut off at the terminal's last column."""
        super().print(*objects, **{"crop": False} | how)


def _console(*, stderr: bool = False) -> Console:
    """A console that writes to what the stream is when it writes."""
    stream = sys.stderr if stderr else sys.stdout
    piped = not stream.isatty() and "COLUMNS" not in os.environ
    return _SafeConsole(
        stderr=stderr,
        width=_PIPED_WIDTH if piped else None,
        highlight=False,
        # A path, a span's name or a title may hold what Rich takes for a style or an emoji.
        markup=False,
        emoji=False,
    )


console = _console()
notes = _console(stderr=True)
"""Progress and remarks; results alone go to standard output."""


def say_no_reference(case: CaseFile | Sight) -> None:
    """Remark that nothing tells how it was before, where nobody has said it of an import."""
    from lab.investigation.reading.strangers import is_alone, no_reference

    if is_alone(case):
        notes.print(no_reference(case), soft_wrap=True, markup=False)


@contextmanager
def reading(case: CaseFile | Sight) -> Iterator[None]:
    """A line that says what takes its time, where all of some thousand traces are read."""
    count = len(case.evidence.traces)
    if count < _MANY:
        yield
        return
    with notes.status(f"reading {count:,} traces of {case.case_id}"):
        yield


_MANY: Final = 2000
"""Traces that are read in about a second."""


def print_json(value: Any) -> None:
    """Print one JSON document."""
    typer.echo(json.dumps(value, indent=2, default=str))


def lab_command() -> str:
    """How this user can call the lab: ``lab`` where it is on PATH, else by its folder."""
    return "lab" if shutil.which("lab") else ".venv/bin/lab"


def seconds(text: str, *, at_most_s: float) -> float:
    """``90``, ``90s``, ``10m`` or ``1h`` as seconds; UsageError above ``at_most_s``."""
    units = {"s": 1, "m": 60, "h": 3600}
    number, unit = (text[:-1], text[-1]) if text[-1:] in units else (text, "s")
    try:
        value = float(number) * units[unit]
    except ValueError:
        value = 0.0
    if not 0 < value <= at_most_s:
        raise UsageError(
            "expected a length of time such as 90s or 10m "
            f"(at most {at_most_s / 3600:g}h), got {text!r}"
        )
    return value


def run_async(main: Callable[[], Awaitable[T]]) -> T:
    """Run ``main``; Ctrl-C, SIGTERM and SIGHUP cancel it, so that it can clean up after itself.

    Ctrl-C then ends in KeyboardInterrupt, another signal in Exit with 128 and its
    number, as a shell tells it. A second Ctrl-C ends the process at once; what is
    held then ends with its lease.
    """
    # Whoever only reads a case does not wait for these.
    import asyncio

    import anyio

    caught: list[signal.Signals] = []

    async def interruptible() -> T:
        loop = asyncio.get_running_loop()
        with anyio.CancelScope() as scope:

            def interrupt(number: signal.Signals) -> None:
                caught.append(number)
                scope.cancel()
                _make_way_for_a_second(number, loop)

            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                # Under `nohup` a hangup is none of ours.
                if number is not signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                    loop.add_signal_handler(number, interrupt, number)
            return await main()
        raise KeyboardInterrupt

    try:
        return anyio.run(interruptible)
    except KeyboardInterrupt:
        if caught and caught[0] is not signal.SIGINT:
            raise typer.Exit(128 + caught[0]) from None
        raise


def consent(question: str, *, force: bool) -> None:
    """Go on only where somebody said so; without a terminal nobody can be asked."""
    if force:
        return
    if not sys.stdin.isatty():
        raise UsageError("expected somebody to ask, found no terminal; `--yes` goes ahead unasked")
    typer.confirm(question, abort=True)


def _make_way_for_a_second(number: signal.Signals, loop: AbstractEventLoop) -> None:
    if number is signal.SIGHUP:
        hangup.let_go()
    notes.print("interrupted: cleaning up (Ctrl-C again to stop at once)")
    loop.remove_signal_handler(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
