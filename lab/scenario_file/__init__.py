"""Scenarios as files: ``scenario.yaml``, ``briefing.md`` and ``debrief.md`` in a folder each.

Beside them may stand ``grafana.md``, which no proof rests on.

Whatever is wrong with them is told at once, each problem with its file, line and
field: ``scenarios/x/scenario.yaml:14 faults[0].latency: must be >= 0ms, got -5ms``.
"""

from lab.scenario_file.placeholders import filled_text
from lab.scenario_file.reading import (
    BRIEFING,
    DEBRIEF,
    FILES,
    GRAFANA,
    SCENARIO,
    folders,
    grafana_path,
    json_schema,
    load,
    load_all,
    parse,
    variants,
    varied,
)

__all__ = [
    "BRIEFING",
    "DEBRIEF",
    "FILES",
    "GRAFANA",
    "SCENARIO",
    "filled_text",
    "folders",
    "grafana_path",
    "json_schema",
    "load",
    "load_all",
    "parse",
    "variants",
    "varied",
]
