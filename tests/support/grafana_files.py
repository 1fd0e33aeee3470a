"""What Grafana reads at its start, as strict types: an unknown key is an error here.

Grafana itself passes over what it does not know, so a misspelt key shows only as a
link that is not there. No schema of these files comes with any package.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from ruamel.yaml import YAML

from lab.adapters.stack.grafana import DEPLOYED

Uid = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,39}$")]
Text = Annotated[str, Field(min_length=1)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, alias_generator=to_camel)


class Tag(Strict):
    key: Text
    value: Text
    """Without it, some builds leave the key's dots in the query, where they mean nothing."""


class TracesToLogs(Strict):
    datasource_uid: Uid
    span_start_time_shift: Text
    span_end_time_shift: Text
    tags: Annotated[list[Tag], Field(min_length=1)]
    custom_query: Literal[True]
    query: Text


class NamedQuery(Strict):
    name: Text
    query: Text


class TracesToMetrics(Strict):
    datasource_uid: Uid
    span_start_time_shift: Text
    span_end_time_shift: Text
    tags: Annotated[list[Tag], Field(min_length=1)]
    queries: Annotated[list[NamedQuery], Field(min_length=1)]


class TraceQuery(Strict):
    time_shift_enabled: bool
    span_start_time_shift: Text
    span_end_time_shift: Text


class ServiceMap(Strict):
    datasource_uid: Uid


class Enabled(Strict):
    enabled: bool


class Streaming(Strict):
    search: bool = False
    metrics: bool = False


class TempoData(Strict):
    streaming_enabled: Streaming
    traces_to_logs_v2: TracesToLogs
    traces_to_metrics: TracesToMetrics
    service_map: ServiceMap
    node_graph: Enabled
    trace_query: TraceQuery


class ExemplarDestination(Strict):
    name: Text
    datasource_uid: Uid


class PrometheusData(Strict):
    http_method: Literal["POST", "GET"]
    prometheus_type: Literal["Prometheus"]
    time_interval: Text
    exemplar_trace_id_destinations: Annotated[list[ExemplarDestination], Field(min_length=1)]


class DerivedField(Strict):
    name: Text
    matcher_type: Literal["label", "regex"]
    matcher_regex: Text
    datasource_uid: Uid
    url: Text
    url_display_label: Text


class LokiData(Strict):
    max_lines: int
    derived_fields: Annotated[list[DerivedField], Field(min_length=1)]


class Target(Strict):
    url: Text


class CorrelationConfig(Strict):
    field: Text
    """Must equal the name of a field of a trace's frame."""
    target: Target
    transformations: list[Any]


class Correlation(Strict):
    """``label`` and ``description`` are read unchecked by Grafana: without one it would not start.

    ``type`` stands beside ``config``, not in it, and ``transformations`` in it.
    """

    type: Literal["external"]
    label: Text
    description: Text
    config: CorrelationConfig


class DataSource(Strict):
    name: Text
    uid: Uid
    access: Literal["proxy"]
    url: Annotated[str, Field(pattern=r"^\$[A-Z_]+$")]
    is_default: bool = False
    correlations: list[Correlation] = []


class TempoSource(DataSource):
    type: Literal["tempo"]
    json_data: TempoData


class PrometheusSource(DataSource):
    type: Literal["prometheus"]
    json_data: PrometheusData


class LokiSource(DataSource):
    type: Literal["loki"]
    json_data: LokiData


AnySource = Annotated[TempoSource | PrometheusSource | LokiSource, Field(discriminator="type")]


class DataSources(Strict):
    api_version: Literal[1]
    prune: bool
    datasources: list[AnySource]

    def of_type(self, kind: str) -> Any:
        """The only data source of that type."""
        (found,) = (each for each in self.datasources if each.type == kind)
        return found


class ProviderOptions(Strict):
    path: Text


class Provider(Strict):
    name: Text
    type: Literal["file"]
    folder: Text
    allow_ui_updates: bool
    update_interval_seconds: int
    options: ProviderOptions


class Providers(Strict):
    api_version: Literal[1]
    providers: list[Provider]


class SourceRef(Strict):
    type: Text
    uid: Text


class PromTarget(Strict):
    ref_id: Text
    datasource: SourceRef
    expr: Text
    legend_format: Text
    exemplar: bool
    instant: bool
    range: bool


class TraceqlTarget(Strict):
    ref_id: Text
    datasource: SourceRef
    query_type: Literal["traceql"]
    query: Text
    limit: Annotated[int, Field(gt=0, le=100)]
    table_type: Literal["traces", "spans"]


class ServiceMapTarget(Strict):
    ref_id: Text
    datasource: SourceRef
    query_type: Literal["serviceMap"]
    service_map_query: str
    service_map_use_native_histograms: bool


class LokiTarget(Strict):
    ref_id: Text
    datasource: SourceRef
    query_type: Literal["range"]
    expr: Text
    legend_format: str


AnyTarget = PromTarget | TraceqlTarget | ServiceMapTarget | LokiTarget


class GridPos(Strict):
    x: Annotated[int, Field(ge=0, lt=24)]
    y: Annotated[int, Field(ge=0)]
    w: Annotated[int, Field(gt=0, le=24)]
    h: Annotated[int, Field(gt=0)]


class FieldConfig(Strict):
    defaults: dict[str, Any]
    overrides: list[dict[str, Any]]


class Panel(Strict):
    id: int
    type: Literal["timeseries", "table", "traces", "logs", "nodeGraph"]
    title: Text
    description: Annotated[str, Field(min_length=20)]
    """What the panel answers: somebody is to learn from it."""
    grid_pos: GridPos
    datasource: SourceRef
    targets: Annotated[list[AnyTarget], Field(min_length=1)]
    field_config: FieldConfig
    options: dict[str, Any]


class Row(Strict):
    id: int
    type: Literal["row"]
    title: Text
    collapsed: Literal[False]
    grid_pos: GridPos
    panels: Annotated[list[Any], Field(max_length=0)]


class AnnotationTarget(Strict):
    type: Literal["tags"]
    tags: list[str]
    limit: int
    match_any: bool


class AnnotationQuery(Strict):
    name: Text
    datasource: SourceRef
    enable: bool
    icon_color: Text
    target: AnnotationTarget


class Annotations(Strict):
    list: list[AnnotationQuery]


class Link(Strict):
    title: Text
    type: Literal["dashboards"]
    tags: list[str]
    as_dropdown: bool
    include_vars: bool
    keep_time: bool
    target_blank: bool


class Variable(Strict):
    name: Annotated[str, Field(pattern=r"^[a-z]+$")]
    label: Text
    type: Literal["textbox", "custom", "query"]
    query: str | dict[str, str]
    current: dict[str, str]
    description: Text
    datasource: SourceRef | None = None
    definition: str = ""
    refresh: int = 0
    sort: int = 0
    multi: bool = False
    include_all: bool = False
    all_value: str | None = None
    options: list[dict[str, Any]] = []


class Templating(Strict):
    list: list[Variable]


class TimeRange(Strict):
    start: Annotated[str, Field(alias="from")]
    to: str


class Dashboard(Strict):
    uid: Uid
    title: Text
    description: Text
    tags: list[str]
    schema_version: Literal[41]
    version: int
    editable: bool
    graph_tooltip: Literal[0, 1, 2]
    timezone: Literal["browser"]
    refresh: str
    time: TimeRange
    annotations: Annotations
    links: list[Link]
    templating: Templating
    panels: list[Annotated[Panel | Row, Field(discriminator="type")]]

    def with_targets(self) -> Iterator[tuple[Panel, AnyTarget]]:
        """Every query of every panel."""
        for panel in self.panels:
            if isinstance(panel, Panel):
                for target in panel.targets:
                    yield panel, target


def dashboards() -> dict[str, Dashboard]:
    """Every dashboard by the name of its file."""
    return {
        path.stem: Dashboard.model_validate_json(path.read_text("utf-8"))
        for path in sorted((DEPLOYED / "dashboards").glob("*.json"))
    }


def data_sources() -> DataSources:
    """What is provisioned."""
    return DataSources.model_validate(_yaml("datasources"))


def providers() -> Providers:
    """Where dashboards come from."""
    return Providers.model_validate(_yaml("dashboards"))


def _yaml(folder: str) -> Any:
    (path,) = (DEPLOYED / "provisioning" / folder).glob("*.yaml")
    return YAML(typ="safe").load(path.read_text("utf-8"))
