"""Every query that stands in a dashboard, an exercise, a case's Grafana path or a link."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from lab.settings import CHECKOUT
from tests.signals.stores import Query, Store
from tests.support.grafana_files import (
    LokiTarget,
    PromTarget,
    ServiceMapTarget,
    TraceqlTarget,
    dashboards,
    data_sources,
)

EXERCISES = CHECKOUT / "docs" / "grafana-exercises.md"
LANGUAGES: dict[str, Store] = {"traceql": "tempo", "promql": "prometheus", "logql": "loki"}
SERVICE_MAP = (
    "traces_service_graph_request_total",
    "traces_service_graph_request_failed_total",
    "traces_service_graph_request_server_seconds_sum",
)
"""What Grafana asks Prometheus for to draw a service map."""

_FENCED = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def of_panels() -> Iterator[Query]:
    """Every query of every panel."""
    for name, board in dashboards().items():
        for panel, target in board.with_targets():
            where = f"{name}: {panel.title} [{target.ref_id}]"
            if isinstance(target, PromTarget):
                yield Query(where, "prometheus", target.expr)
            elif isinstance(target, LokiTarget):
                yield Query(where, "loki", target.expr)
            elif isinstance(target, TraceqlTarget):
                yield Query(where, "tempo", target.query)
            elif isinstance(target, ServiceMapTarget):
                for metric in SERVICE_MAP:
                    text = f"sum by (client, server) (rate({metric}[$__rate_interval]))"
                    yield Query(f"{where} {metric}", "prometheus", text)


def of_variables() -> Iterator[tuple[str, str, str]]:
    """Each variable that asks Prometheus for the values of a label: where, metric, label."""
    for name, board in dashboards().items():
        for variable in board.templating.list:
            match = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable.definition)
            if match:
                yield f"{name}: ${variable.name}", match[1], match[2]


def of_links() -> Iterator[Query]:
    """What a click on a span asks; `$__span` and `$__tags` are still in it."""
    tempo = data_sources().of_type("tempo").json_data
    yield Query("link to logs", "loki", _unescaped(tempo.traces_to_logs_v2.query))
    for each in tempo.traces_to_metrics.queries:
        yield Query(f"link to metrics: {each.name}", "prometheus", _unescaped(each.query))


def of_texts() -> Iterator[Query]:
    """Every fenced query of the exercises and of the cases' Grafana paths."""
    for path in (EXERCISES, *sorted((CHECKOUT / "scenarios").glob("[a-z]*/grafana.md"))):
        yield from fenced(path)


def fenced(path: Path) -> Iterator[Query]:
    """The fenced queries of one Markdown file, told apart by their line."""
    text = path.read_text("utf-8")
    for match in _FENCED.finditer(text):
        if match[1] in LANGUAGES:
            line = text.count("\n", 0, match.start()) + 2
            where = f"{path.relative_to(CHECKOUT)}:{line}"
            yield Query(where, LANGUAGES[match[1]], " ".join(match[2].split()))


def _unescaped(text: str) -> str:
    """As Grafana keeps it, once the environment was filled in."""
    return text.replace("$$", "$")
