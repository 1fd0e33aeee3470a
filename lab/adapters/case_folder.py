"""One case folder: what lies in it, written in the lab's own words and read back strictly.

::

    manifest.json      what was run, when, with which versions; names every sample
    scenario/          the scenario's files as they were that day
    requests.jsonl     every request of the load
    traces.jsonl       the fetched traces, OTLP/JSON, one trace a line
    logs.jsonl         the traces' log lines, and those of no trace
    journal.jsonl      what the run wrote down
    proof.json         every finding
    accusations.jsonl  what learners said since; the only file that ever changes
    checksums          SHA-256 of all files but that one, as ``sha256sum`` writes them
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from lab import scenario_file
from lab.adapters.journal_file import YEAR_10000_UNIX_S, read_journal, write_entry
from lab.adapters.json_lines import whole_lines
from lab.adapters.otlp_fields import MalformedOtlpError, parse
from lab.adapters.otlp_json import read_traces, trace_to_otlp
from lab.domain.case import Case
from lab.domain.evidence import Evidence, Interval, Sample
from lab.domain.journal import Ending
from lab.domain.load import Request, Window
from lab.domain.proof import Proof, ProofVerdict
from lab.domain.scenario import Scenario
from lab.domain.trace import Trace
from lab.errors import CaseError, ScenarioError

FORMAT: Final = 1
"""The version of this layout; a reader refuses what is newer than itself."""

MANIFEST: Final = "manifest.json"
SCENARIO: Final = "scenario"
REQUESTS: Final = "requests.jsonl"
TRACES: Final = "traces.jsonl"
LOGS: Final = "logs.jsonl"
JOURNAL: Final = "journal.jsonl"
PROOF: Final = "proof.json"
ACCUSATIONS: Final = "accusations.jsonl"
CHECKSUMS: Final = "checksums"

T = TypeVar("T")


@dataclass(frozen=True)
class Manifest:
    """What a list of cases needs, and what no other file says."""

    format: int
    case_id: str
    scenario_id: str
    title: str
    difficulty: Annotated[int, Field(ge=1, le=5)]
    seed: int
    opened_unix_s: Annotated[float, Field(ge=0, lt=YEAR_10000_UNIX_S)]
    ending: Ending
    verdict: ProofVerdict
    support_code: str | None
    versions: Mapping[str, str]
    windows: Mapping[Window, Interval]
    samples: Mapping[Sample, tuple[str, ...]]


_MANIFEST: Final = TypeAdapter(Manifest)
_REQUEST: Final = TypeAdapter(Request)
_PROOF: Final = TypeAdapter(Proof)


# --- writing -----------------------------------------------------------------------------


def write_case(folder: Path, case: Case, logs: Iterable[str]) -> None:
    """Write every file of ``case`` and bring it to disk; OSError where the disk refuses."""
    _write(
        folder / MANIFEST, [json.dumps(json.loads(_MANIFEST.dump_json(_manifest(case))), indent=2)]
    )
    (folder / SCENARIO).mkdir(exist_ok=True)
    for name, text in case.scenario.source.items():
        _write(folder / SCENARIO / Path(name).name, [text], end="")
    _write(
        folder / REQUESTS, (_REQUEST.dump_json(each).decode() for each in case.evidence.requests)
    )
    traces = case.evidence.traces.values()
    _write(folder / TRACES, (json.dumps(trace_to_otlp(trace)) for trace in traces))
    _write(folder / LOGS, logs)
    _write(folder / JOURNAL, (write_entry(entry) for entry in case.journal))
    _write(folder / PROOF, [_PROOF.dump_json(case.proof, indent=2).decode()])
    write_checksums(folder)
    for each in (folder / SCENARIO, folder):
        sync_folder(each)


def write_checksums(folder: Path) -> None:
    """Seal every file of the folder as it is now."""
    sums = (f"{_sha256(path)}  {path.relative_to(folder)}" for path in _sealed_files(folder))
    _write(folder / CHECKSUMS, tuple(sums))


def sync_folder(folder: Path) -> None:
    """Bring a folder's list of names to disk, without which a file in it may be lost."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _manifest(case: Case) -> Manifest:
    return Manifest(
        format=FORMAT,
        case_id=case.case_id,
        scenario_id=case.scenario.id,
        title=case.scenario.title,
        difficulty=case.scenario.difficulty,
        seed=case.seed,
        opened_unix_s=case.opened_unix_s,
        ending=case.ending,
        verdict=case.proof.verdict,
        support_code=case.support_code,
        versions=case.versions,
        windows=case.evidence.windows,
        samples=case.evidence.samples,
    )


def _write(path: Path, lines: Iterable[str], end: str = "\n") -> None:
    with path.open("w", encoding="utf-8", errors="replace", newline="\n") as file:
        file.writelines(line + end for line in lines)
        file.flush()
        os.fsync(file.fileno())


def _sealed_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        changes = path.name in {ACCUSATIONS, CHECKSUMS} or path.name.startswith(".")
        if path.is_file() and not changes:
            yield path


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- reading -----------------------------------------------------------------------------


def read_manifest(folder: Path) -> Manifest:
    """The manifest; CaseError where it is missing, damaged or of a newer format."""
    path = folder / MANIFEST
    text = _text(path)
    try:
        version = json.loads(text).get("format")
    except (ValueError, AttributeError, RecursionError) as error:
        raise damaged(path, "a JSON object") from error
    if isinstance(version, int) and version > FORMAT:
        raise CaseError(
            f"{path}: expected format {FORMAT} or older, found {version}: a newer lab wrote this "
            "case; update this checkout to read it"
        )
    return _validated(_MANIFEST, text, path)


def read_case(folder: Path) -> Case:
    """The whole case; CaseError names the first file that is not as it was sealed."""
    manifest = read_manifest(folder)
    _check_sums(folder)
    scenario = _read_scenario(folder, manifest.scenario_id)
    return Case(
        case_id=manifest.case_id,
        scenario=scenario,
        seed=manifest.seed,
        opened_unix_s=manifest.opened_unix_s,
        ending=manifest.ending,
        versions=manifest.versions,
        evidence=Evidence(
            windows=manifest.windows,
            requests=read_requests(folder / REQUESTS),
            samples=manifest.samples,
            traces=_read_traces(folder / TRACES),
            joins=scenario.truth.joins,
        ),
        journal=read_journal(folder / JOURNAL),
        proof=_validated(_PROOF, _text(folder / PROOF), folder / PROOF),
        support_code=manifest.support_code,
    )


def read_requests(path: Path) -> tuple[Request, ...]:
    """Every request of a log whose last line may be torn; CaseError names a damaged line."""
    return tuple(_validated(_REQUEST, line, path, number) for number, line in whole_lines(path))


def damaged(path: Path, expected: str) -> CaseError:
    """The error for a file that is not as it was sealed."""
    return CaseError(
        f"{path}: expected {expected}; the case is damaged: restore the file, or delete the "
        f"folder {path.parent.name} and run the scenario again"
    )


def _read_scenario(folder: Path, scenario_id: str) -> Scenario:
    texts = {path.name: _text(path) for path in sorted((folder / SCENARIO).glob("*"))}
    try:
        return scenario_file.parse(texts, scenario_id)
    except ScenarioError as error:
        raise CaseError(
            f"{folder / SCENARIO}: expected a scenario this lab understands; "
            f"another version wrote it, or it was changed:\n{error}"
        ) from error


def _read_traces(path: Path) -> dict[str, Trace]:
    traces: dict[str, Trace] = {}
    for number, line in whole_lines(path):
        try:
            traces |= read_traces(parse(line))
        except MalformedOtlpError as error:
            raise damaged(path, f"a trace as OTLP/JSON in line {number} ({error})") from error
    return traces


def _check_sums(folder: Path) -> None:
    path = folder / CHECKSUMS
    sums = [line.partition("  ") for line in _text(path).splitlines()]
    unlisted = {MANIFEST, REQUESTS, TRACES, LOGS, JOURNAL, PROOF} - {name for *_, name in sums}
    if unlisted:
        raise damaged(path, f"a line for {min(unlisted)}")
    for expected, _, name in sums:
        listed = folder / name
        if not name or ".." in Path(name).parts or Path(name).is_absolute():
            raise damaged(path, "lines of '<sha256>  <file>'")
        if not listed.is_file():
            raise damaged(listed, "this file, found none")
        if _sha256(listed) != expected:
            raise damaged(listed, f"SHA-256 {expected[:12]}…, found another")


def _text(path: Path) -> str:
    if path.exists() and not path.is_file():
        raise damaged(path, "a file, found something else of this name")
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise damaged(path, f"a readable file, found: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise damaged(path, "UTF-8 text") from error


def _validated(adapter: TypeAdapter[T], text: str, path: Path, line: int | None = None) -> T:
    try:
        return adapter.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        where = f" in line {line}" if line else ""
        raise damaged(path, f"{field or 'JSON'}{where} to be right ({first['msg']})") from error
