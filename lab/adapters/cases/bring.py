"""What somebody brings becomes a case of this checkout: whole, or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from lab.adapters.cases.archive import FolderArchive
from lab.adapters.cases.telemetry_case import TelemetryWriter, Tell, sorted_traces, write_all
from lab.adapters.cases.zip_file import read_zip
from lab.adapters.otlp.file import span_groups
from lab.domain.case import Case, CaseFile
from lab.domain.trace import Trace

IMPORTED: Final = "imported"
"""What a case is called that no scenario made, unless whoever brings it names it."""


@dataclass(frozen=True, slots=True)
class Brought:
    """The case that something became; not ``is_new`` where this checkout had it already.

    ``case`` is what was read of it; None where traces were written one by one.
    """

    case_id: str
    is_new: bool
    traces: int
    spans: int
    case: CaseFile | None = None


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


def bring_otlp(archive: FolderArchive, path: Path, name: str, tell: Tell) -> Brought:
    """The traces of an OTLP/JSON file as a case that can be looked at."""
    with archive.arriving() as room, TelemetryWriter(room) as writer:
        write_all(writer, sorted_traces(span_groups(path), room, tell), tell)
        writer.seal(path.name, f"the OTLP file {path.name}", archive.now_s())
        return Brought(archive.adopt(room, name), True, writer.traces, writer.spans)


async def bring_traces(
    archive: FolderArchive, traces: AsyncIterator[Trace], name: str, source: str, tell: Tell
) -> Brought:
    """Traces as they are fetched, as a case that can be looked at."""
    with archive.arriving() as room, TelemetryWriter(room) as writer:
        async for trace in traces:
            writer.add(trace)
            tell("traces fetched", writer.traces)
        writer.seal(f"traces of {source}", source, archive.now_s())
        return Brought(archive.adopt(room, name), True, writer.traces, writer.spans)


def without_secrets(url: str) -> str:
    """The address without a user's name, password, query or path."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}"
