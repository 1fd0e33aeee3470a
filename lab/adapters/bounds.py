"""How much of anything a case file or a stranger's telemetry may hold: the one table.

Readers refuse what is more, `case_file_schema` says the same to other programs, and
``docs/case-file.md`` to people. A run of the lab stays far below each.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

MOST_TRACES: Final = 20_000
MOST_SPANS: Final = 500_000
"""In one case; whoever reads one holds all of it in memory."""

MOST_REQUESTS: Final = 200_000
MOST_LOG_LINES: Final = 500_000
MOST_JOURNAL_ENTRIES: Final = 20_000
MOST_RECORDS: Final = 200_000
MOST_RECORD_NAMES: Final = 100
"""Lines of ``records.jsonl``; a scenario names a handful."""

MOST_WINDOWS: Final = 10
MOST_SAMPLES: Final = 10
MOST_FINDINGS: Final = 1_000
MOST_NAMES: Final = 1_000
"""Of parts with versions, of what a plan draws, of services, databases and edges."""

MOST_ATTRIBUTES: Final = 1_000
"""Of a span, event, link, resource, log line or record; SDKs stop at 128 by themselves."""

MOST_ELEMENTS: Final = 1_000
"""Of a list or map inside of what may be any JSON, and of a span's arrays and maps."""

MOST_EVENTS: Final = 1_000
MOST_LINKS: Final = 1_000
"""Of one span; SDKs stop at 128 of each by themselves."""

MOST_GROUPS_OF_A_TRACE: Final = 10_000
"""``resourceSpans`` or ``scopeSpans`` in one document, as many as it may have spans."""

LONGEST_STRING_BYTES: Final = 4 * 2**20
"""Of one string in a stranger's file; the parser reads a longer one anew with every piece."""

MOST_IN: Final[Mapping[str, Mapping[str, int]]] = MappingProxyType(
    {
        "Manifest": {
            "versions": MOST_NAMES,
            "windows": MOST_WINDOWS,
            "samples": MOST_SAMPLES,
            "samples[]": MOST_TRACES,
            "plan": MOST_NAMES,
            "sampled_from": MOST_SAMPLES,
        },
        "Topology": {"services": MOST_NAMES, "databases": MOST_NAMES, "edges": MOST_NAMES},
        "Proof": {"findings": MOST_FINDINGS},
        "RecordsLine": {"records": MOST_RECORDS},
        "Record": {"attributes": MOST_ATTRIBUTES},
        "JournalEntry": {"data": MOST_ELEMENTS},
        "LogRecord": {"attributes": MOST_ATTRIBUTES},
    }
)
"""Type → its field → how many elements that may have; ``[]``: each list inside of that field.

What is not here may have `MOST_ELEMENTS`, as deep down as it is.
"""

MOST_OF_OTLP: Final[Mapping[str, int]] = MappingProxyType(
    {
        "resourceSpans": MOST_GROUPS_OF_A_TRACE,
        "batches": MOST_GROUPS_OF_A_TRACE,
        "scopeSpans": MOST_GROUPS_OF_A_TRACE,
        "attributes": MOST_ATTRIBUTES,
        "events": MOST_EVENTS,
        "links": MOST_LINKS,
        "values": MOST_ELEMENTS,
    }
)
"""Repeated field of OTLP → how many elements it may have; spans are counted by document."""
