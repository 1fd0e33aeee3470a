"""Commands that carry cases elsewhere: export, replay."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

from lab import bootstrap, umask
from lab.commands.common import (
    JsonOption,
    console,
    lab_command,
    notes,
    print_json,
    run_async,
)
from lab.errors import DiskRefused, UsageError
from lab.settings import Settings

SUFFIX: Final = ".case.zip"
"""How the name of a case file ends; no case is called so."""
OTLP_SUFFIX: Final = ".otlp.jsonl"
SPANS_A_BATCH: Final = 500
ENDED_AGO_S: Final = 2.0
"""How long before now a replay's last span ends: no endpoint is sent the future."""

HeaderOption = Annotated[
    list[str] | None,
    typer.Option("--header", "-H", metavar="'NAME: VALUE'", help="A tenant or a key; repeatable."),
]


def export(
    case_id: Annotated[str | None, typer.Argument(metavar="[CASE]")] = None,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="Else ./<case>.case.zip.")
    ] = None,
    otlp: Annotated[
        bool, typer.Option("--otlp", help="Only its traces, as OTLP/JSON a line a trace.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Also over a file that is there.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write a case with all its evidence into one file that travels.

    It holds the scenario with its truth; what was accused so far stays here. With --otlp it
    holds spans alone, as every program reads them that reads the Collector's files.
    """
    from lab.adapters.cases.zip_file import copy_traces, pack_folder

    archive = bootstrap.archive(Settings())
    case = archive.open(case_id)
    target = to or Path(f"{case.case_id}{OTLP_SUFFIX if otlp else SUFFIX}")
    if target.exists() and not target.is_file():
        # A device would be gone, and a file in its place, for whoever may write there.
        raise UsageError(
            f"expected --to to name a file, got {target}, which is a folder or a device; "
            "add a name to it, or say another"
        )
    if target.exists() and not force:
        raise UsageError(f"expected no {target} yet, found one; say --force to write over it")
    try:
        with umask.whole_file(target) as file:
            (copy_traces if otlp else pack_folder)(archive.folder(case.case_id), file)
    except OSError as error:
        raise DiskRefused(
            f"expected to write {target}, found: {error.strerror}; say --to another place"
        ) from error
    size = target.stat().st_size
    if as_json:
        print_json({"case": case.case_id, "file": str(target), "bytes": size})
    else:
        console.print(f"{case.case_id}: {size / 1024:.0f} KiB in {target}", soft_wrap=True)


def replay(
    case_id: Annotated[str, typer.Argument(metavar="CASE")],
    to: Annotated[
        str, typer.Option("--to", metavar="URL", help="OTLP/HTTP, e.g. http://127.0.0.1:4318.")
    ],
    header: HeaderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a case's traces to any backend, as if they happened now, under fresh ids.

    Solve it there, and accuse here by the ids it has there: the lab remembers which is which.
    """
    from lab.adapters.cases.bring import without_secrets
    from lab.adapters.otlp.sender import OtlpSender
    from lab.domain.replay import Replay, batches
    from lab.investigation.reading.strangers import own_traces

    archive = bootstrap.archive(Settings())
    case = archive.open(case_id)
    traces = tuple(own_traces(case))
    ids = [each.trace_id for each in traces]
    end_ns = int((time.time() - ENDED_AGO_S) * 1e9)
    retold = Replay.ending_at(traces, end_ns, secrets.token_hex(16))
    spans = rejected = 0

    async def send() -> None:
        nonlocal spans, rejected
        async with OtlpSender(to, headers(header)) as sender:
            archive.record_replay(case.case_id, retold, without_secrets(to))
            with counting() as tell:
                for batch in batches(map(retold.moved, traces), SPANS_A_BATCH):
                    answer = await sender.send(batch)
                    spans += sum(len(trace.spans) for trace in batch)
                    rejected += answer.rejected
                    if answer.rejected:
                        notes.print(f"{answer.rejected} spans refused: {answer.why}")
                    tell("spans sent", spans)

    run_async(send)
    support_code = getattr(case, "support_code", None)
    asked = retold.trace_id(support_code) if support_code else None
    if as_json:
        print_json(
            {
                "case": case.case_id,
                "traces": len(traces),
                "spans": spans,
                "rejected": rejected,
                "shifted_s": retold.shift_ns / 1e9,
                "support_code": asked,
                "trace_ids": {old: retold.trace_id(old) for old in ids},
            }
        )
    else:
        console.print(f"{len(traces)} traces, {spans} spans sent, {rejected} refused")
        if asked:
            console.print(f"support code of a customer who called: {asked}", soft_wrap=True)
            accuse = f"{lab_command()} accuse {case.case_id} TRACE SPAN --mechanism WORD"
            console.print(f"`{accuse}` takes the ids that they have there", soft_wrap=True)
    if rejected:
        raise typer.Exit(2)


_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}")
"""A *token* of RFC 9110, section 5.6.2."""

_FRAMING: Final = frozenset(
    {"connection", "content-encoding", "content-length", "content-type", "expect", "te", "trailer",
     "transfer-encoding", "upgrade"}
)  # fmt: skip


def headers(given: list[str] | None) -> dict[str, str]:
    """``NAME: VALUE`` each; UsageError for what is no header, or not for a user to set."""
    found = {}
    for each in given or ():
        name, colon, value = each.partition(":")
        is_name = _HEADER_NAME.fullmatch(name.strip())
        if not colon or not is_name or not each.isprintable() or not each.isascii():
            raise UsageError(f"expected --header 'NAME: VALUE', got {each[:80]!r}")
        if name.strip().lower() in _FRAMING:
            raise UsageError(
                f"expected --header for a tenant or a key, got {name.strip()}, which says how the "
                "request itself is sent"
            )
        found[name.strip()] = value.strip()
    return found


@contextmanager
def counting() -> Iterator[Callable[[str, int], None]]:
    """A line that says what has been counted so far, while something takes its time."""
    with notes.status("reading") as line:
        yield lambda what, count: line.update(f"{count} {what}")
