"""One case folder: what lies in it, written in the lab's own words and read back strictly.

`docs/case-file.md` describes every member; an exported case is a zip of the same files::

    manifest.json      what was run, when, with which versions; names every sample
    scenario/          the scenario's files as they were that day
    requests.jsonl     every request of the load
    traces.jsonl       the fetched traces, OTLP/JSON, one trace a line
    logs.jsonl         the traces' log lines, and those of no trace
    records.jsonl      what the proof counts beside traces, with its source; only where it does
    journal.jsonl      what the run wrote down
    proof.json         every finding
    accusations.jsonl  what learners said since
    replays.jsonl      what its spans were called where it was replayed to since
    checksums          SHA-256 of all files but those two, as ``sha256sum`` writes them

A stranger's telemetry has the manifest, the traces and the checksums.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections import ChainMap
from collections.abc import Collection, Iterable, Iterator, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path
from typing import Final, cast

from lab.adapters import own_folders
from lab.adapters.bounds import (
    MOST_JOURNAL_ENTRIES,
    MOST_LOG_LINES,
    MOST_RECORD_NAMES,
    MOST_RECORDS,
    MOST_REQUESTS,
)
from lab.adapters.cases.indexed_traces import IndexedTraces
from lab.adapters.cases.journal_file import read_journal, write_entry
from lab.adapters.cases.json_lines import whole_lines
from lab.adapters.cases.known_scenario import KNOWN, read_joins, read_scenario
from lab.adapters.cases.manifest import (
    FORMAT,
    MANIFEST,
    VERSION,
    AnyManifest,
    Manifest,
    TelemetryManifest,
    manifest_of,
    manifest_text,
    read_manifest,
)
from lab.adapters.cases.noted_partners import PARTNERS, with_partners
from lab.adapters.cases.noted_traces import NOTED
from lab.adapters.cases.own_note import note_of, sha256_of
from lab.adapters.cases.reference_file import COMPARED, COPIED, STRETCH, is_compared, read_stretch
from lab.adapters.cases.replay_file import REPLAYS
from lab.adapters.cases.strict_reading import (
    adapter,
    damaged,
    out_of_bounds,
    text_of,
    validated,
)
from lab.adapters.cases.trace_index import INDEX
from lab.adapters.cases.traces_on_disk import TracesOnDisk, all_traces
from lab.adapters.otlp.traces import trace_to_otlp
from lab.domain.case import Case, CaseFile
from lab.domain.evidence import Evidence, Healthy, Sample, Sight, Telemetry, stranger_evidence
from lab.domain.load import Request, Window
from lab.domain.proof import Proof
from lab.domain.record import Records, RecordsLine
from lab.domain.trace import Trace
from lab.domain.variation import Plan
from lab.errors import CaseError, NothingToGrade, UsageError

SCENARIO: Final = "scenario"
REQUESTS: Final = "requests.jsonl"
TRACES: Final = "traces.jsonl"
LOGS: Final = "logs.jsonl"
RECORDS: Final = "records.jsonl"
JOURNAL: Final = "journal.jsonl"
PROOF: Final = "proof.json"
ACCUSATIONS: Final = "accusations.jsonl"
CHECKSUMS: Final = "checksums"

ARRIVED: Final = ".imported.json"
"""When a case came from elsewhere: for a list, it was opened here then."""

OWNER: Final = ".owner.json"
"""Whose the folder is while a run writes into it."""

LEDGERS: Final = frozenset({ACCUSATIONS, REPLAYS})
"""What is written into a case after it was sealed; never imported with it."""

OWN_NOTES: Final = frozenset({ARRIVED, OWNER, INDEX, STRETCH, KNOWN, NOTED, PARTNERS})
"""What the lab keeps beside a case for itself; never sealed."""

_OF_A_CASE: Final = frozenset({MANIFEST, REQUESTS, TRACES, LOGS, JOURNAL, PROOF})
_OF_TELEMETRY: Final = frozenset({MANIFEST, TRACES})
_COMPARED_WITH: Final = COPIED | LEDGERS | {ARRIVED}

LONGEST_WINDOW_S: Final = 3600.0
LONGEST_RUN_S: Final = 2 * 3600.0
"""From the first window's start to the last one's end; charts have a column a second."""

_SEALED_NAME: Final = re.compile(
    rf"(?:{SCENARIO}/)?[A-Za-z0-9][A-Za-z0-9_-]*(?:\.[A-Za-z0-9]+){{1,2}}"
)
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


# --- writing -----------------------------------------------------------------------------


def write_case(folder: Path, case: Case) -> None:
    """Write every file of ``case`` and bring it to disk; OSError where the disk refuses."""
    _write(folder / MANIFEST, [manifest_text(manifest_of(case))])
    (folder / SCENARIO).mkdir(exist_ok=True)
    for name, text in case.scenario.source.items():
        _write(folder / SCENARIO / Path(name).name, [text], end="")
    requests = map(adapter(Request).dump_json, case.evidence.requests)
    _write(folder / REQUESTS, map(bytes.decode, requests))
    traces = case.evidence.traces.values()
    _write(folder / TRACES, (json.dumps(trace_to_otlp(trace)) for trace in traces))
    _write(folder / LOGS, case.evidence.logs)
    if case.evidence.records:
        _write(folder / RECORDS, _record_lines(case))
    _write(folder / JOURNAL, (write_entry(entry) for entry in case.journal))
    _write(folder / PROOF, [adapter(Proof).dump_json(case.proof, indent=2).decode()])
    write_checksums(folder)
    for each in (folder / SCENARIO, folder):
        own_folders.sync(each)


def seal_telemetry(
    folder: Path, title: str, source: str, opened_unix_s: float, *, traces: int, spans: int
) -> TelemetryManifest:
    """Write what the traces that lie in ``folder`` are, and the checksums."""
    manifest = TelemetryManifest(
        format=FORMAT,
        version=VERSION,
        kind="telemetry",
        title=title,
        source=source,
        opened_unix_s=opened_unix_s,
        traces=traces,
        spans=spans,
    )
    _write(folder / MANIFEST, [manifest_text(manifest)])
    write_checksums(folder)
    own_folders.sync(folder)
    return manifest


def _record_lines(case: Case) -> Iterator[str]:
    queries = case.scenario.observation.records
    for name, records in case.evidence.records.items():
        line = RecordsLine(name, queries[name].source, records)
        yield adapter(RecordsLine).dump_json(line, exclude_defaults=True).decode()


def write_checksums(folder: Path) -> None:
    """Seal every file of the folder as it is now."""
    sums = (f"{sha256_of(path)}  {path.relative_to(folder)}" for path in _sealed_files(folder))
    _write(folder / CHECKSUMS, tuple(sums))


def _write(path: Path, lines: Iterable[str], end: str = "\n") -> None:
    with path.open("w", encoding="utf-8", errors="replace", newline="\n") as file:
        file.writelines(line + end for line in lines)
        file.flush()
        os.fsync(file.fileno())


def _sealed_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        changes = path.name in LEDGERS | {CHECKSUMS} or path.name.startswith(".")
        if path.is_file() and not changes:
            yield path


def others_in(folder: Path) -> tuple[Path, ...]:
    """What lies in a case's folder and that the lab did not write there."""
    known = {*sealed_files(folder), *LEDGERS, CHECKSUMS, *OWN_NOTES, SCENARIO}
    return tuple(
        path
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or not _is_own(path.relative_to(folder), known)
    )


def _is_own(member: Path, known: Collection[str]) -> bool:
    """Whether the lab wrote it: what is known, a note's part, or what the case is compared with."""
    top, *below = member.parts
    if is_compared(top):
        return not below or (len(below) == 1 and note_of(below[0]) in _COMPARED_WITH)
    return str(member) in known or note_of(str(member)) in OWN_NOTES


# --- reading -----------------------------------------------------------------------------


def read_case_file(folder: Path, *, at_once: bool = True) -> CaseFile:
    """What it holds, traces ``at_once`` or when asked for; CaseError names the first bad file."""
    manifest = sealed_manifest(folder)
    if isinstance(manifest, TelemetryManifest):
        return _read_telemetry(folder, manifest)
    _check_logs(folder / LOGS)
    scenario = read_scenario(*_scenario_of(folder, manifest))
    read = all_traces if at_once else TracesOnDisk
    sums = sealed_files(folder)
    evidence = _evidence(folder, manifest, read(folder / TRACES, sums[TRACES]))
    return Case(
        case_id=manifest.case_id,
        scenario=scenario,
        seed=manifest.seed,
        opened_unix_s=manifest.opened_unix_s,
        ending=manifest.ending,
        versions=manifest.versions,
        evidence=with_partners(replace(evidence, joins=scenario.truth.joins), folder, sums),
        journal=read_journal(folder / JOURNAL),
        proof=validated(Proof, text_of(folder / PROOF), folder / PROOF),
        support_code=manifest.support_code,
        sampled_from=manifest.sampled_from,
        instrumentation=manifest.instrumentation,
    )


def read_telemetry(folder: Path) -> Telemetry:
    """A stranger's telemetry; UsageError where the folder holds a case with windows of its own."""
    found = read_sight(folder)
    if isinstance(found, Telemetry):
        return found
    raise UsageError(
        f"expected telemetry that somebody brought, found a case ({found.case_id}), which has a "
        "reference of its own"
    )


def read_sight(folder: Path, *, joined: bool = False) -> Sight | Telemetry:
    """What anybody may look at; each trace is read when it is asked for, CaseDamaged then.

    With what else belongs to a request only where it is ``joined``: the scenario says how. The
    checksums are checked first, and what is sealed was read as a whole before.
    """
    manifest = sealed_manifest(folder)
    if isinstance(manifest, TelemetryManifest):
        return _read_telemetry(folder, manifest)
    sums = sealed_files(folder)
    evidence = _evidence(folder, manifest, TracesOnDisk(folder / TRACES, sums[TRACES]))
    if joined and manifest.samples.get(Sample.JOINED):
        joins = read_joins(*_scenario_of(folder, manifest))
        evidence = with_partners(replace(evidence, joins=joins), folder, sums)
    return Sight(manifest.case_id, evidence)


def _scenario_of(folder: Path, manifest: Manifest) -> tuple[Path, Path, str, Plan]:
    return folder / SCENARIO, folder / KNOWN, manifest.scenario_id, manifest.plan


def sealed_manifest(folder: Path) -> AnyManifest:
    """The manifest, once all that it speaks of is as it was sealed and no more than one reads."""
    manifest = read_manifest(folder)
    _check_sums(folder, manifest)
    if isinstance(manifest, Manifest):
        _check_bounds(folder, manifest)
    return manifest


def _check_bounds(folder: Path, manifest: Manifest) -> None:
    """Refuse, before anything else is read, what would keep a page busy without end."""
    path = folder / MANIFEST
    windows = [manifest.windows[each] for each in Window if each in manifest.windows]
    for window in windows:
        if not 0 < window.length_s <= LONGEST_WINDOW_S:
            raise damaged(
                path,
                f"windows of more than 0 and at most {LONGEST_WINDOW_S:g} s, "
                f"found one of {window.length_s:g} s",
            )
    for one, next_one in pairwise(windows):
        if one.end_s > next_one.start_s:
            raise damaged(
                path,
                "windows one after the other, found one that begins "
                f"{one.end_s - next_one.start_s:g} s before the end of the one ahead of it",
            )
    span_s = windows[-1].end_s - windows[0].start_s if windows else 0.0
    if span_s > LONGEST_RUN_S:
        raise damaged(path, f"windows within {LONGEST_RUN_S:g} s of each other, found {span_s:g} s")
    for name, most in (
        (REQUESTS, MOST_REQUESTS),
        (LOGS, MOST_LOG_LINES),
        (JOURNAL, MOST_JOURNAL_ENTRIES),
        (RECORDS, MOST_RECORD_NAMES),
    ):
        if _has_more_lines(folder / name, most):
            raise damaged(folder / name, f"at most {most} lines, found more")


def _has_more_lines(path: Path, most: int) -> bool:
    """Whether it has, counted as bytes first: nearly no file comes near."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        if next(islice(file, most, None), None) is None:
            return False
    return next(islice(whole_lines(path), most, None), None) is not None


def _check_logs(path: Path) -> None:
    """Refuse lists and numbers without bound; a line that is no log record is left out later."""
    for number, line in whole_lines(path):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if problem := out_of_bounds(record):
            expected, found = problem
            raise damaged(path, f"{expected} in line {number}, found {found}")


def _evidence(folder: Path, manifest: Manifest, traces: Mapping[str, Trace]) -> Evidence:
    requests = read_requests(folder / REQUESTS)
    starts_s = [window.start_s - LONGEST_WINDOW_S for window in manifest.windows.values()]
    ends_s = [window.end_s + LONGEST_WINDOW_S for window in manifest.windows.values()]
    first_s, last_s = min(starts_s, default=0.0), max(ends_s, default=math.inf)
    for request in requests:
        is_timely = first_s <= request.start_s <= last_s
        if not is_timely or not 0 <= request.latency_ms <= LONGEST_WINDOW_S * 1000:
            raise damaged(
                folder / REQUESTS,
                "requests of these windows, none of over an hour, found one at "
                f"{request.start_s:g} s of {request.latency_ms:g} ms",
            )
    return Evidence(
        windows=manifest.windows,
        requests=requests,
        samples=manifest.samples,
        traces=traces,
        records=_read_records(folder / RECORDS),
        logs=tuple(line.rstrip("\r\n") for _, line in whole_lines(folder / LOGS)),
    )


def read_case(folder: Path, *, at_once: bool = True) -> Case:
    """The case; NothingToGrade where the folder holds a stranger's telemetry."""
    found = read_case_file(folder, at_once=at_once)
    if isinstance(found, Telemetry):
        raise nothing_to_grade(folder, found.source)
    return found


def nothing_to_grade(folder: Path, source: str) -> NothingToGrade:
    """The error for whoever asks of a stranger's telemetry what only a case has."""
    return NothingToGrade(
        f"expected a case with a truth, found {folder.name}: telemetry that somebody brought "
        f"({source}). Nobody knows who did it, so there is nothing to brief, prove or grade; "
        "`lab traces` and `lab trace` show it"
    )


def _read_telemetry(folder: Path, manifest: TelemetryManifest) -> Telemetry:
    """The telemetry by its index; all of it is read only where there is none yet."""
    traces = _indexed(folder)
    healthy, all_traces = _said_to_be_healthy(folder, traces)
    evidence = Evidence(windows={}, requests=(), samples={}, traces=all_traces)
    return Telemetry(
        case_id=folder.name,
        title=manifest.title,
        source=manifest.source,
        opened_unix_s=manifest.opened_unix_s,
        evidence=stranger_evidence(all_traces, traces.index, healthy) if healthy else evidence,
        index=traces.index,
        lines_with=traces.lines_with,
        healthy=healthy,
    )


def _indexed(folder: Path) -> IndexedTraces:
    return IndexedTraces.of(folder, folder / TRACES, sealed_files(folder)[TRACES])


def _said_to_be_healthy(
    folder: Path, own: IndexedTraces
) -> tuple[Healthy | None, Mapping[str, Trace]]:
    """What was said of it, and all traces that it speaks of; what cannot be read is not said."""
    stretch, compared = read_stretch(folder), folder / COMPARED
    if stretch is not None:
        return Healthy(stretch), own
    with suppress(CaseError):
        manifest = read_manifest(compared)
        if isinstance(manifest, TelemetryManifest):
            others = _indexed(compared)
            healthy = Healthy(source=manifest.source, index=others.index)
            return healthy, ChainMap(*cast("tuple[MutableMapping[str, Trace], ...]", (own, others)))
    return None, own


def read_requests(path: Path) -> tuple[Request, ...]:
    """Every request of a log whose last line may be torn; CaseError names a damaged line."""
    return tuple(validated(Request, line, path, number) for number, line in whole_lines(path))


def _read_records(path: Path) -> Records:
    lines = (validated(RecordsLine, line, path, number) for number, line in whole_lines(path))
    records = {line.name: line.records for line in lines}
    if (count := sum(map(len, records.values()))) > MOST_RECORDS:
        raise damaged(path, f"at most {MOST_RECORDS} records, found {count}")
    return records


def is_sealed_name(name: str) -> bool:
    """Whether a file of a sealed case may be called so; such a name never leaves its folder."""
    return _SEALED_NAME.fullmatch(name) is not None


def sealed_files(folder: Path) -> Mapping[str, str]:
    """Member → SHA-256, as the checksums say; CaseError where they do not say it as they should."""
    path = folder / CHECKSUMS
    sums: dict[str, str] = {}
    for line in text_of(path).splitlines():
        digest, _, name = line.partition("  ")
        if not _SHA256.fullmatch(digest) or not is_sealed_name(name) or name in sums:
            raise damaged(path, "lines of '<sha256>  <file>', each file once")
        sums[name] = digest
    return sums


def _check_sums(folder: Path, manifest: AnyManifest) -> None:
    sums = sealed_files(folder)
    needed = _OF_A_CASE if isinstance(manifest, Manifest) else _OF_TELEMETRY
    if unlisted := needed - sums.keys():
        raise damaged(folder / CHECKSUMS, f"a line for {min(unlisted)}")
    for name, expected in sums.items():
        listed = folder / name
        if not listed.is_file():
            raise damaged(listed, "this file, found none")
        if sha256_of(listed) != expected:
            raise damaged(listed, f"SHA-256 {expected[:12]}…, found another")
