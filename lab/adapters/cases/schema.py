"""The JSON Schema of a case file's members, for programs that are not the lab."""

from __future__ import annotations

import json
from typing import Any, Final

from pydantic import TypeAdapter

from lab.adapters.cases.logs import LogRecord
from lab.adapters.cases.manifest import Manifest, TelemetryManifest
from lab.domain.journal import JournalEntry
from lab.domain.load import Request
from lab.domain.proof import Proof
from lab.domain.record import RecordsLine

_MEMBERS: Final[tuple[type[Any], ...]] = (
    Manifest, TelemetryManifest, Request, JournalEntry, LogRecord, RecordsLine, Proof,
)  # fmt: skip


def case_file_schema() -> str:
    """One document with a definition for each member, as ``docs/case-file.schema.json`` has it."""
    _, schema = TypeAdapter.json_schemas(
        [(each.__name__, "validation", TypeAdapter(each)) for each in _MEMBERS]
    )
    document: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Deadspan case file, version 1",
        "description": "The manifest; the definitions describe the lines of the other members.",
        "oneOf": [{"$ref": "#/$defs/Manifest"}, {"$ref": "#/$defs/TelemetryManifest"}],
        **schema,
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
