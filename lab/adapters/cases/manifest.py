"""``manifest.json``: what a case file is; and the schema of all its members."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, TypeAdapter

from lab.adapters.bounds import MOST_IN
from lab.adapters.cases.journal_file import YEAR_10000_UNIX_S
from lab.adapters.cases.logs import LogRecord
from lab.adapters.cases.strict_reading import adapter, damaged, text_of, validated
from lab.domain.case import Case
from lab.domain.evidence import Interval, Sample
from lab.domain.instrumentation import Instrumentation
from lab.domain.journal import Ending, JournalEntry
from lab.domain.load import Request, Window
from lab.domain.proof import Proof, ProofVerdict
from lab.domain.record import RecordsLine
from lab.domain.variation import Plan
from lab.errors import CaseError
from lab.frozen import dataclass
from lab.shop import topology

_DRAFT: Final = 1
"""``format`` of the layout before version 1, whose manifest had no ``version`` and no ``kind``."""

UnixTime = Annotated[float, Field(ge=0, lt=YEAR_10000_UNIX_S)]


@dataclass(frozen=True, kw_only=True)
class Topology:
    """Who is called by whom in the shop that was hurt; an edge is ``<caller>-<callee>``."""

    services: tuple[str, ...]
    databases: tuple[str, ...]
    edges: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Of a case: what was run, when, with which versions; names every sample."""

    format: Literal["deadspan-case"]
    version: Literal[1]
    kind: Literal["case"]
    case_id: str
    scenario_id: str
    title: str
    difficulty: Annotated[int, Field(ge=0, le=5)]
    seed: int
    opened_unix_s: UnixTime
    ending: Ending
    verdict: ProofVerdict
    support_code: str | None
    versions: Mapping[str, str]
    windows: Mapping[Window, Interval]
    samples: Mapping[Sample, tuple[str, ...]]
    plan: Plan = field(default_factory=dict)
    instrumentation: Instrumentation = Instrumentation.FULL
    sampled_from: Mapping[Sample, int] | None = None
    topology: Topology | None = None


@dataclass(frozen=True, kw_only=True)
class TelemetryManifest:
    """Of a stranger's telemetry: where it came from, and how much it is."""

    format: Literal["deadspan-case"]
    version: Literal[1]
    kind: Literal["telemetry"]
    title: str
    source: str
    opened_unix_s: UnixTime
    traces: Annotated[int, Field(ge=0)]
    spans: Annotated[int, Field(ge=0)]


AnyManifest = Manifest | TelemetryManifest


def manifest_of(case: Case) -> Manifest:
    """The manifest of a case whose run was on this shop."""
    return Manifest(
        format=FORMAT,
        version=VERSION,
        kind="case",
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
        plan=case.scenario.plan,
        instrumentation=case.instrumentation,
        sampled_from=case.sampled_from,
        topology=None if case.scenario.is_recorded else _shop(),
    )


def _shop() -> Topology:
    return Topology(
        services=topology.SERVICES,
        databases=tuple(topology.DATABASES),
        edges=tuple(edge.name for edge in topology.EDGES),
    )


def manifest_text(manifest: AnyManifest) -> str:
    """The manifest as it is written: indented, for people look into it first."""
    kind = Manifest if isinstance(manifest, Manifest) else TelemetryManifest
    return json.dumps(json.loads(adapter(kind).dump_json(manifest)), indent=2)


def read_manifest(folder: Path) -> AnyManifest:
    """The manifest; CaseError where it is missing, damaged or of a newer version."""
    path = folder / MANIFEST
    text = text_of(path)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise damaged(path, "a JSON object") from error
    if not isinstance(document, dict):
        raise damaged(path, "a JSON object")
    if "version" not in document and document.get("format") == _DRAFT:
        text = json.dumps(document | {"format": FORMAT, "version": VERSION, "kind": "case"})
    elif _is_newer(document.get("version")):
        raise CaseError(
            f"{path}: expected version {VERSION} or older of a case file, found "
            f"{document['version']}: a newer lab wrote it; update this checkout to read it "
            "(`git pull`), or have it exported by a lab of this age"
        )
    if document.get("kind") == "telemetry":
        return validated(TelemetryManifest, text, path)
    return validated(Manifest, text, path)


def _is_newer(version: object) -> bool:
    return isinstance(version, int) and not isinstance(version, bool) and version > VERSION


_MEMBERS: Final[tuple[type[Any], ...]] = (
    Manifest, TelemetryManifest, Request, JournalEntry, LogRecord, RecordsLine, Proof,
)  # fmt: skip


def case_file_schema() -> str:
    """One document with a definition for each member, as ``docs/case-file.schema.json`` has it."""
    _, schema = TypeAdapter.json_schemas(
        [(each.__name__, "validation", TypeAdapter(each)) for each in _MEMBERS]
    )
    for name, bounds in MOST_IN.items():
        properties = schema["$defs"][name]["properties"]
        for field_name, most in bounds.items():
            of, _, inside = field_name.partition("[")
            _bound(properties[of], most, inside=bool(inside))
    document: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Deadspan case file, version 1",
        "description": "The manifest; the definitions describe the lines of the other members.",
        "oneOf": [{"$ref": "#/$defs/Manifest"}, {"$ref": "#/$defs/TelemetryManifest"}],
        **schema,
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _bound(schema: dict[str, Any], most: int, *, inside: bool) -> None:
    """Say in the schema of a field how many elements it may have, or each list inside of it."""
    for each in (schema, *schema.get("anyOf", ())):
        if inside and isinstance(each.get("additionalProperties"), dict):
            _bound(each["additionalProperties"], most, inside=False)
        elif each.get("type") == "array":
            each["maxItems"] = most
        elif each.get("type") == "object":
            each["maxProperties"] = most


FORMAT: Final = "deadspan-case"
VERSION: Final = 1
"""The version that is written; a reader refuses what is newer, and reads what is older."""

MANIFEST: Final = "manifest.json"
