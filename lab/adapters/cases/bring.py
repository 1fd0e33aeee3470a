"""What somebody brings becomes a case of this checkout: whole, or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import field, replace
from io import BytesIO
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from lab.adapters.cases.archive import FolderArchive
from lab.adapters.cases.case_folder import read_telemetry
from lab.adapters.cases.manifest import MANIFEST
from lab.adapters.cases.reference_file import write_compared, write_stretch
from lab.adapters.cases.stretch import stretch_of
from lab.adapters.cases.telemetry_case import Gathering, Tell
from lab.adapters.cases.zip_file import read_zip
from lab.adapters.formats.found import Account
from lab.adapters.formats.sniffing import ZIP, found_in
from lab.adapters.formats.source import Content
from lab.domain.case import Case, CaseFile
from lab.domain.wording import visible
from lab.errors import CaseError, UsageError
from lab.frozen import dataclass

IMPORTED: Final = "imported"
"""What a case is called that no scenario made, unless whoever brings it names it."""

MOST_FILES: Final = 10_000


@dataclass(frozen=True, slots=True)
class Brought:
    """The case that something became; not ``is_new`` where this checkout had it already.

    ``case`` is what was read of a case file; ``account`` tells of telemetry what became of
    each span.
    """

    case_id: str
    is_new: bool
    traces: int
    spans: int
    case: CaseFile | None = None
    account: Account = field(default_factory=Account)


@dataclass(frozen=True, slots=True)
class Wish:
    """How telemetry is to be taken: under which name, as OTLP alone, and all of it or none.

    ``before`` says which stretch of it was healthy, or ``compare`` where healthy traces are.

    Traces that are here already are taken ``again`` where that is wished, or where a ``name`` is
    and no case of them has it. With ``mask`` no address and no card number is written.
    """

    name: str | None = None
    only_otlp: bool = False
    strict: bool = False
    before: str | None = None
    compare: Path | None = None
    again: bool = False
    mask: bool = False


def bring_file(
    archive: FolderArchive, path: Path, *, again: bool = False, called: str | None = None
) -> Brought:
    """The case file at ``path`` as a case of its own.

    One that is here already, with the very same content, is not taken twice: what was
    found out in it so far stays with it. ``again`` takes it all the same. ``called`` is
    what it is named after, if not after its scenario; it is here already only where one of
    that name is.
    """
    with archive.arriving() as room:
        case = read_zip(path, room)
        traces = case.evidence.traces.values()
        counts = len(traces), sum(len(trace.spans) for trace in traces)
        twin = None if again else archive.twin_of(room, called)
        name = called or (case.scenario.id if isinstance(case, Case) else IMPORTED)
        case_id = twin or archive.adopt(room, name)
        return Brought(case_id, twin is None, *counts, replace(case, case_id=case_id))


def is_case_file(path: Path) -> bool:
    """Whether the file there begins as a case file does."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        return file.read(len(ZIP)) == ZIP
    return False


def files_in(paths: Iterable[Path]) -> tuple[Path, ...]:
    """The files that are meant, those of a folder at any depth; UsageError where one is missing."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = (each for each in sorted(path.rglob("*")) if each.is_file())
            found += [each for each in inside if not _is_hidden(each.relative_to(path))]
        elif path.exists():
            found.append(path)
        else:
            raise CaseError(f"{path}: expected a file, found none")
    if not found:
        raise CaseError(f"expected files in {', '.join(map(str, paths))}, found none")
    if len(found) > MOST_FILES:
        raise UsageError(f"expected at most {MOST_FILES} files at once, found {len(found)}")
    return tuple(found)


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def bring_files(archive: FolderArchive, paths: Iterable[Path], wish: Wish, tell: Tell) -> Brought:
    """The traces of all these files as one case that can be looked at."""
    files = files_in(paths)
    first = visible(files[0].name)  # A name may be no text at all, and a case keeps it.
    more = len(files) - 1
    title = first if not more else f"{first} and {more} more"
    source = f"the file {first}" if not more else f"{len(files)} files, the first {first}"

    def take(gathering: Gathering, account: Account) -> None:
        _take(files, gathering, account, only_otlp=wish.only_otlp)

    return _brought(archive, wish, (title, source), tell, take)


def _take(
    files: Iterable[Path], gathering: Gathering, account: Account, *, only_otlp: bool = False
) -> None:
    for path in files:
        try:
            with path.open("rb") as file:
                content = Content(str(path), file)
                gathering.add(found_in(content, account, only_otlp=only_otlp))
        except OSError as error:
            raise CaseError(
                f"{path}: expected a file that can be read, found: {error.strerror}"
            ) from error


def bring_content(archive: FolderArchive, content: Content, wish: Wish, tell: Tell) -> Brought:
    """The same of what comes through a pipe."""

    def take(gathering: Gathering, account: Account) -> None:
        gathering.add(found_in(content, account, only_otlp=wish.only_otlp))

    return _brought(archive, wish, (content.name, content.name), tell, take)


def _brought(
    archive: FolderArchive,
    wish: Wish,
    told: tuple[str, str],
    tell: Tell,
    take: Callable[[Gathering, Account], None],
) -> Brought:
    account = Account()
    with _arriving(archive, account, wish, tell) as (room, gathering):
        take(gathering, account)
        return _sealed(archive, gathering, room, account, wish, told)


async def bring_answers(
    archive: FolderArchive,
    answers: AsyncIterator[tuple[str, bytes]],
    wish: Wish,
    source: str,
    tell: Tell,
) -> Brought:
    """The traces in a backend's answers as they come, each with what was asked for, as a case."""
    account = Account()
    with _arriving(archive, account, wish, tell) as (room, gathering):
        async for name, body in answers:
            gathering.add(found_in(Content(name, BytesIO(body)), account))
            tell("answers read", account.files)
        told = f"traces of {source}", source
        return _sealed(archive, gathering, room, account, wish, told)


@contextmanager
def _arriving(
    archive: FolderArchive, account: Account, wish: Wish, tell: Tell
) -> Iterator[tuple[Path, Gathering]]:
    with archive.arriving() as room:
        gathering = Gathering(room, account, tell, mask=wish.mask)
        try:
            yield room, gathering
        finally:
            gathering.close()


def _sealed(
    archive: FolderArchive,
    gathering: Gathering,
    room: Path,
    account: Account,
    wish: Wish,
    told: tuple[str, str],
) -> Brought:
    gathering.seal(*told, archive.now_s())
    if wish.strict and not account.is_complete:
        raise CaseError(
            f"expected to read all of it (--strict), found {account.skipped_words}; leave "
            "--strict out to take the rest"
        )
    # The manifest says from which files traces came, and when: others may hold the same ones.
    twin = None if wish.again else archive.twin_of(room, wish.name, but_for=MANIFEST)
    _refer(archive, room if twin is None else archive.folder(twin), wish)
    case_id = twin or archive.adopt(room, wish.name or IMPORTED)
    return Brought(case_id, twin is None, account.traces, account.kept, account=account)


def _refer(archive: FolderArchive, folder: Path, wish: Wish) -> None:
    """Write down what is wished to be healthy, if that is."""
    if wish.before is not None:
        write_stretch(folder, stretch_of(wish.before, read_telemetry(folder).index))
    if wish.compare is not None:
        bring_healthy(archive, folder, wish.compare)


def bring_healthy(archive: FolderArchive, folder: Path, path: Path) -> None:
    """Say of the telemetry in ``folder`` that what lies at ``path``, of any format, was healthy."""
    files = files_in([path])
    with archive.arriving() as room:
        if is_case_file(path):
            read_zip(path, room)
        else:
            account = Account()
            gathering = Gathering(room, account, lambda _what, _count: None)
            try:
                _take(files, gathering, account)
                gathering.seal(path.name, f"the file {path.name}", archive.now_s())
            finally:
                gathering.close()
        write_compared(folder, read_telemetry(folder).index, room, read_telemetry(room).index)


def without_secrets(url: str) -> str:
    """The address without a user's name, password, query or path."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}"
