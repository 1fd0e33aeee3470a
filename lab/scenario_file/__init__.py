"""Scenarios as files: ``scenario.yaml``, ``briefing.md`` and ``debrief.md`` in a folder each.

Whatever is wrong with them is told at once, each problem with its file, line and
field: ``scenarios/x/scenario.yaml:14 faults[0].latency: must be >= 0ms, got -5ms``.
"""

from lab.scenario_file.names import near_names
from lab.scenario_file.placeholders import filled_text
from lab.scenario_file.reading import (
    BRIEFING,
    FILES,
    SCENARIO,
    folders,
    json_schema,
    load,
    load_all,
    parse,
    variants,
    varied,
)

__all__ = [
    "BRIEFING",
    "FILES",
    "SCENARIO",
    "filled_text",
    "folders",
    "json_schema",
    "load",
    "load_all",
    "near_names",
    "parse",
    "variants",
    "varied",
]
