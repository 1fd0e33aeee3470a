"""The command that makes a case of what somebody brings, found out by content."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from lab import bootstrap
from lab.commands.common import (
    JsonOption,
    console,
    lab_command,
    moment_s,
    print_json,
    run_async,
)
from lab.commands.exchange import HeaderOption, counting, headers
from lab.domain.evidence import Telemetry
from lab.domain.wording import counted
from lab.errors import UsageError
from lab.settings import Settings

if TYPE_CHECKING:
    from lab.adapters.backends import Choice
    from lab.adapters.cases.archive import FolderArchive
    from lab.adapters.cases.bring import Brought, Wish
    from lab.domain.evidence import Sight


BeforeOption = Annotated[
    str | None,
    typer.Option(
        "--before", metavar="FROM..TO",
        help="These traces were healthy: RFC 3339, Unix seconds, or 0s..90s from the first one.",
    ),
]  # fmt: skip
CompareOption = Annotated[
    Path | None, typer.Option("--compare", metavar="FILE", help="The traces in FILE were healthy.")
]
EndOption = Annotated[str | None, typer.Option("--to", metavar="TIME", help="The same, or now.")]
MaskOption = Annotated[
    bool,
    typer.Option("--mask", help="Mask e-mail addresses and card numbers before anything is kept."),
]

PIPE: Final = "-"
_CHOOSING: Final = "--since, --to, --service, --limit, --query and --header"


def import_(
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILE|DIRECTORY|-]…", help="What to read; - is standard input."),
    ] = None,
    otlp: Annotated[
        list[str] | None,
        typer.Option("--otlp", metavar="FILE", help="The same, and no guess: OTLP it is."),
    ] = None,
    tempo: Annotated[
        str | None, typer.Option("--tempo", metavar="URL", help="Traces of a stretch of time.")
    ] = None,
    jaeger: Annotated[
        str | None, typer.Option("--jaeger", metavar="URL", help="The same of a Jaeger.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", "--from", metavar="TIME", help="15m (ago), or ISO 8601."),
    ] = None,
    end: EndOption = None,
    service: Annotated[
        list[str] | None, typer.Option(help="Only traces that reached it; repeatable.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="So many traces (Jaeger: of each service) at most.")
    ] = None,
    query: Annotated[str | None, typer.Option(help="TraceQL: only what it finds.")] = None,
    header: HeaderOption = None,
    name: Annotated[
        str | None, typer.Option(help="What to call it: lower-case words joined by hyphens.")
    ] = None,
    before: BeforeOption = None,
    compare: CompareOption = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also what is here already, as a case of its own.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse all where anything cannot be read.")
    ] = False,
    mask: MaskOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make a case of what somebody brings: a case file, or traces of any system.

    Read are OTLP (JSON or protobuf), Jaeger's and Zipkin's JSON, each as it is or packed by
    gzip or zstd, as its content says. Several files make one case. Traces make a case that
    can be looked at and not graded; --before or --compare says which of them were healthy.
    What is here already makes no second case.
    """
    paths = [*(files or ()), *(otlp or ())]
    _one_source(files, otlp, tempo, jaeger)
    _choose_nothing_of(paths, since, end, query, service, limit, header)
    _one_reference(before=before, compare=compare)
    archive = bootstrap.archive(Settings())
    wish = _wish(name, bool(otlp), strict, before, compare, again, mask)
    if paths:
        brought = _from_files(archive, paths, wish)
    else:
        choice = _choice(archive.now_s(), since or "15m", end or "now", service, limit, query)
        brought = _from_backend(archive, tempo, jaeger, choice, headers(header), wish)
    tell(brought, "file" if paths else "answer", as_json=as_json)


def _wish(*fields: Any) -> Wish:
    # Whoever asks for help does not wait for what reads formats.
    from lab.adapters.cases.bring import Wish

    return Wish(*fields)


def _choose_nothing_of(paths: list[str], *choosing: object) -> None:
    if paths and any(each is not None for each in choosing):
        raise UsageError(f"expected none of {_CHOOSING} for files, which are read as a whole")


def _one_source(*given: object) -> None:
    if sum(map(bool, given)) != 1:
        raise UsageError("expected one of FILE…, --otlp FILE, --tempo URL and --jaeger URL")


def _from_files(archive: FolderArchive, paths: list[str], wish: Wish) -> Brought:
    from lab.adapters.cases.bring import bring_content, bring_file, bring_files, is_case_file
    from lab.adapters.formats.sniffing import ZIP
    from lab.adapters.formats.source import Content

    if PIPE in paths:
        if len(paths) > 1:
            raise UsageError("expected - (standard input) alone, got other files beside it")
        content = Content("standard input", sys.stdin.buffer)
        if not content.peek(len(ZIP)).startswith(ZIP):
            with counting() as tell:
                return bring_content(archive, content, wish, tell)
        _refuse_for_a_case_file(wish)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "standard-input.case.zip"
            with path.open("wb") as file:
                while part := content.read(2**20):
                    file.write(part)
            return bring_file(archive, path, again=wish.again)
    if any(is_case_file(Path(each)) for each in paths):
        if len(paths) > 1:
            raise UsageError("expected a case file alone, got other files beside it")
        _refuse_for_a_case_file(wish)
        return bring_file(archive, Path(paths[0]), again=wish.again)
    with counting() as tell:
        return bring_files(archive, [Path(each) for each in paths], wish, tell)


def _refuse_for_a_case_file(wish: Wish) -> None:
    if wish.name is not None or wish.before is not None or wish.compare is not None:
        raise UsageError(
            "expected no --name, --before or --compare for a case file, which is called as its "
            f"scenario; `{lab_command()} reference` says what was healthy once it is here"
        )
    if wish.mask:
        raise UsageError("expected no --mask for a case file, which is sealed as it is")


def reference(
    case_id: Annotated[str | None, typer.Argument(metavar="[CASE]")] = None,
    before: BeforeOption = None,
    compare: CompareOption = None,
    none: Annotated[
        bool, typer.Option("--none", help="Nothing is said to be healthy any more.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Say which traces of an import were healthy, or what has been said; no span changes by it.

    All others are compared with those. FILE may be the id of another import.
    """
    from lab.adapters.cases.bring import bring_healthy
    from lab.investigation.reading.strangers import brought

    _one_reference(before=before, compare=compare, none=none or None)
    archive = bootstrap.archive(Settings())
    case = brought(archive.sight(case_id))
    if compare is not None and compare.exists():
        bring_healthy(archive, archive.folder(case.case_id), compare)
    elif before is not None or compare is not None or none:
        archive.refer(case.case_id, stretch=before, other=str(compare) if compare else None)
    _tell_reference(archive.sight(case.case_id), as_json=as_json)


def _one_reference(**options: object) -> None:
    if sum(each is not None for each in options.values()) > 1:
        raise UsageError(f"expected one of {', '.join(f'--{each}' for each in options)}, got more")


def _tell_reference(case: Sight | Telemetry, *, as_json: bool) -> None:
    from lab.investigation.reading.strangers import healthy_count, no_reference

    healthy = case.healthy if isinstance(case, Telemetry) else None
    before = healthy_count(case)
    if as_json:
        stretch = healthy.stretch if healthy else None
        print_json(
            {
                "case": case.case_id,
                "healthy_unix_s": [stretch.start_s, stretch.end_s] if stretch else None,
                "compared_with": healthy.source if healthy and not stretch else None,
                "healthy_traces": before,
            }
        )
        return
    told = f"healthy were {healthy} ({counted(before, 'trace')})" if healthy else no_reference(case)
    console.print(f"{case.case_id}: {told}", soft_wrap=True, markup=False)


def _choice(
    now_s: float,
    since: str,
    end: str,
    services: list[str] | None,
    limit: int | None,
    query: str | None,
) -> Choice:
    from lab.adapters.backends import Choice

    start_s, end_s = moment_s(since, now_s), moment_s(end, now_s)
    words = " ".join((*(services or ()), query or ""))
    try:
        words.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"expected --service and --query in UTF-8, got {words[:80]!r}") from error
    if start_s >= end_s:
        raise UsageError(f"expected --since before --to, got {since} and {end}")
    return Choice(start_s, end_s, tuple(services or ()), query or "{}", limit)


def _from_backend(
    archive: FolderArchive,
    tempo: str | None,
    jaeger: str | None,
    choice: Choice,
    given: dict[str, str],
    wish: Wish,
) -> Brought:
    from lab.adapters import backends
    from lab.adapters.cases.bring import bring_answers, without_secrets

    if tempo is None and choice.traceql != "{}":
        raise UsageError("expected no --query beside --jaeger, which knows no TraceQL")
    url = str(tempo or jaeger)
    made = backends.tempo if tempo is not None else backends.jaeger

    async def main() -> Brought:
        asking, backend = made(url, given)  # An address that is none is refused here.
        source = f"the {'Tempo' if tempo is not None else 'Jaeger'} at {without_secrets(url)}"
        with counting() as tell:
            async with asking:
                answers = backend.answers(choice, tell)
                return await bring_answers(archive, answers, wish, source, tell)

    return run_async(main)


def tell(brought: Brought, noun: str, *, as_json: bool) -> None:
    """Print what became of what was brought, which came in so many of ``noun``."""
    account = brought.account
    if as_json:
        told: dict[str, object] = {
            "case": brought.case_id,
            "is_new": brought.is_new,
            "traces": brought.traces,
            "spans": brought.spans,
        }
        if account.files:
            told |= {
                "files": account.files,
                "read": account.read,
                "duplicates": account.duplicates,
                "skipped_spans": account.skipped_spans,
                "skipped_pieces": account.skipped_pieces,
                "skipped": [str(each) for each in account.skipped],
                "remarks": account.remarks,
            }
        print_json(told)
        return
    came = "" if brought.is_new else " was here already"
    how_to = (
        f"`{lab_command()} traces {brought.case_id}` lists them, "
        f"`{lab_command()} open {brought.case_id}` shows them at the desk"
    )
    if not account.files:
        counts = f"{brought.traces} traces, {brought.spans} spans"
        console.print(f"{brought.case_id}{came}: {counts}; {how_to}", soft_wrap=True)
        return
    console.print(f"{brought.case_id}: {_sentence(brought, noun)}", soft_wrap=True)
    console.print(how_to, soft_wrap=True)


def _sentence(brought: Brought, noun: str) -> str:
    """What became of every span that was read."""
    account = brought.account
    told = [
        (
            f"read {counted(account.read, 'span')} in {counted(account.traces, 'trace')} of "
            f"{counted(account.files, noun)}"
        )
    ]
    if account.duplicates:
        told.append(f"{counted(account.duplicates, 'duplicate')} dropped")
    told += [f"{count:,} × {what}" for what, count in account.remarks.items()]
    if not account.is_complete:
        told.append(account.skipped_words)
    if not brought.is_new:
        told.append("these very traces were here already; --again makes another case of them")
    return "; ".join(told)
