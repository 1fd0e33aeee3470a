"""What Grafana is provisioned with: typed, unique, and every reference leads somewhere."""

from __future__ import annotations

import json
import re
from itertools import combinations
from typing import Any

import pytest
from pydantic import ValidationError

from lab.adapters.stack.grafana import DEPLOYED, TAG
from tests.support.grafana_files import (
    Dashboard,
    DataSources,
    Panel,
    dashboards,
    data_sources,
    providers,
)

BOARDS = ("case-room", "crime-lab", "shop-floor")
OF_GRAFANA = "-- Grafana --"
ESCAPED = re.compile(r"\$\$\{(\w+(?:\.\w+)*)\}")
SPAN_FIELDS = {"traceID", "spanID"}
"""Fields that the frame of every trace has, whatever spans are in it."""


def board(name: str) -> Dashboard:
    return dashboards()[name]


def test_there_are_three_dashboards_whose_uid_is_their_files_name() -> None:
    """So that a link to one can be written down, and no two are one."""
    found = dashboards()
    assert tuple(found) == BOARDS
    assert {name: each.uid for name, each in found.items()} == {name: name for name in BOARDS}
    assert len({each.title for each in found.values()}) == len(BOARDS)


@pytest.mark.parametrize("name", BOARDS)
def test_no_two_panels_of_a_dashboard_share_an_id_or_a_place(name: str) -> None:
    """Grafana would show one of them, or move it where nobody put it."""
    panels = board(name).panels
    assert len({panel.id for panel in panels}) == len(panels)
    for one, other in combinations(panels, 2):
        a, b = one.grid_pos, other.grid_pos
        apart = a.x + a.w <= b.x or b.x + b.w <= a.x or a.y + a.h <= b.y or b.y + b.h <= a.y
        assert apart, f"{one.title} lies over {other.title}"
        assert max(a.x + a.w, b.x + b.w) <= 24


@pytest.mark.parametrize("name", BOARDS)
def test_every_data_source_of_a_dashboard_is_provisioned(name: str) -> None:
    """By uid and by type; a panel and its queries agree."""
    known = {each.uid: each.type for each in data_sources().datasources}
    for panel, target in board(name).with_targets():
        assert target.datasource == panel.datasource
        assert known[panel.datasource.uid] == panel.datasource.type
    for variable in board(name).templating.list:
        if variable.datasource is not None:
            assert known[variable.datasource.uid] == variable.datasource.type
    for query in board(name).annotations.list:
        assert query.datasource.uid == OF_GRAFANA


@pytest.mark.parametrize("name", BOARDS)
def test_every_variable_that_is_used_exists_and_every_one_that_exists_is_used(name: str) -> None:
    """Grafana leaves an unknown one in the query as it stands."""
    text = json.dumps([panel.model_dump(by_alias=True) for panel in board(name).panels])
    used = set(re.findall(r"\$\{?([a-z]+)\b", text)) - {"value"}
    assert used == {variable.name for variable in board(name).templating.list}


@pytest.mark.parametrize("name", BOARDS)
def test_every_dashboard_shades_the_open_case_and_leads_to_the_others(name: str) -> None:
    """Under the tag that the lab writes."""
    (query,) = board(name).annotations.list
    assert query.target.tags == [TAG]
    (link,) = board(name).links
    assert set(link.tags) <= set(board(name).tags)


@pytest.mark.parametrize("name", BOARDS)
def test_links_lead_to_dashboards_that_exist_and_set_variables_that_exist(name: str) -> None:
    """`/d/<uid>/…?var-<name>=…`."""
    text = json.dumps([panel.model_dump(by_alias=True) for panel in board(name).panels])
    for uid, query in re.findall(r"/d/([\w-]+)/[\w-]*\?([^\"]*)", text):
        target = dashboards()[uid]
        named = set(re.findall(r"var-(\w+)=", query))
        assert named <= {variable.name for variable in target.templating.list}


def test_data_sources_lead_to_each_other_and_to_nothing_else() -> None:
    """Trace to log and metric, exemplar to trace, log to trace, map to metrics."""
    sources = data_sources()
    uids = [each.uid for each in sources.datasources]
    assert sorted(uids) == ["loki", "prometheus", "tempo"]
    assert [each.uid for each in sources.datasources if each.is_default] == ["tempo"]
    tempo = sources.of_type("tempo").json_data
    assert tempo.traces_to_logs_v2.datasource_uid == "loki"
    assert tempo.traces_to_metrics.datasource_uid == "prometheus"
    assert tempo.service_map.datasource_uid == "prometheus"
    exemplars = sources.of_type("prometheus").json_data.exemplar_trace_id_destinations
    assert {each.name: each.datasource_uid for each in exemplars} == {
        "trace_id": "tempo",
        "traceID": "tempo",
    }
    (derived,) = sources.of_type("loki").json_data.derived_fields
    assert (derived.matcher_regex, derived.datasource_uid) == ("trace_id", "tempo")


def test_one_click_on_a_span_opens_the_desk_with_both_its_ids() -> None:
    """Only fields that every trace has: one without a value and the link would not be there."""
    (accuse,) = data_sources().of_type("tempo").correlations
    assert accuse.label == "Accuse this span"
    assert accuse.config.field == "spanID"
    url = accuse.config.target.url
    assert url.startswith("$DESK_URL/accuse?")
    assert dict(re.findall(r"(\w+)=\$\$\{(\w+)\}", url)) == {
        "trace_id": "traceID",
        "span_id": "spanID",
    }
    assert set(ESCAPED.findall(url)) <= SPAN_FIELDS


def test_what_grafana_fills_in_at_a_click_is_escaped() -> None:
    """One `$` would be replaced by the environment at the start, by nothing."""
    (file,) = (DEPLOYED / "provisioning" / "datasources").glob("*.yaml")
    lines = [
        line for line in file.read_text("utf-8").splitlines() if not line.lstrip().startswith("#")
    ]
    single = re.findall(r"(?<!\$)\$(?!\$)(\w+|\{\w+\})", "\n".join(lines))
    assert set(single) == {"TEMPO_URL", "PROMETHEUS_URL", "LOKI_URL", "DESK_URL"}


def test_the_provider_reads_the_folder_that_has_the_dashboards() -> None:
    """Its path comes from the environment; files win over what was changed in the browser."""
    (provider,) = providers().providers
    assert provider.options.path == "$GRAFANA_DASHBOARDS_DIR"
    assert not provider.allow_ui_updates


def misspelt(document: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    """The same with one key spelt otherwise, wherever it stands."""
    found: dict[str, Any] = json.loads(json.dumps(document).replace(f'"{old}":', f'"{new}":'))
    return found


@pytest.mark.parametrize("key", ["gridPos", "expr", "description", "datasource"])
def test_a_misspelt_key_of_a_dashboard_is_found(key: str) -> None:
    """Grafana would not say so."""
    document = json.loads((DEPLOYED / "dashboards" / "shop-floor.json").read_text("utf-8"))
    Dashboard.model_validate(document)
    with pytest.raises(ValidationError):
        Dashboard.model_validate(misspelt(document, key, f"{key}s"))


def test_a_correlation_without_a_description_is_found() -> None:
    """It would keep Grafana from starting."""
    document = data_sources().model_dump(by_alias=True)
    DataSources.model_validate(document)
    del document["datasources"][0]["correlations"][0]["description"]
    with pytest.raises(ValidationError, match="description"):
        DataSources.model_validate(document)


def test_panels_say_what_they_answer() -> None:
    """In a sentence: the dashboards teach."""
    for each in dashboards().values():
        for panel in each.panels:
            if isinstance(panel, Panel):
                assert panel.description.rstrip().endswith("."), panel.title
