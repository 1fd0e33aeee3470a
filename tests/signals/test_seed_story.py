"""The story the lab began with: two signals see a symptom each, and only the trace joins them."""

from __future__ import annotations

import psutil
import pytest

from lab.adapters.otlp.traces import read_traces
from lab.domain.evidence import Interval
from lab.domain.trace import Status
from tests.signals.conftest import Ran
from tests.signals.stores import Query, Stores

MOST_MIB = 1.3 * 1024


@pytest.fixture
def case(ran: dict[str, Ran]) -> Ran:
    return ran["db-timeout"]


def test_metrics_show_5xx_at_the_gateway_and_nothing_of_the_database(
    stores: Stores, case: Ran
) -> None:
    """Prometheus counts the gateway's failures; no metric of requests is the database's own."""
    requests = "http_server_request_duration_seconds_count"
    of_gateway = 'service_name="gateway",http_response_status_code=~"5.."'
    failing = f"sum(rate({requests}{{{of_gateway}}}[10s]))"
    assert stores.ask(Query("", "prometheus", failing), case.crime).is_more_than_zeros
    of_database = f'{requests}{{service_name=~".*_db"}}'
    assert stores.ask(Query("", "prometheus", of_database), case.crime).series == 0


def test_logs_show_connection_timeout_in_auth_and_no_word_of_a_query(
    stores: Stores, case: Ran
) -> None:
    """Loki has the line; it names neither the database nor what was asked of it."""
    line = '{service_name="auth"} |= "Connection timeout"'
    assert stores.ask(Query("", "loki", line), case.crime).series > 0
    of_query = '{service_name="auth"} |~ "SELECT|users_db"'
    assert stores.ask(Query("", "loki", of_query), case.crime).series == 0


def test_one_trace_has_both_ends(stores: Stores, case: Ran) -> None:
    """From the customer's failed request at the gateway down to what auth asked its database."""
    (trace,) = read_traces(stores.get("tempo", f"/api/v2/traces/{case.trace_id}")).values()
    red = {(span.service, span.name) for span in trace.spans if span.status is Status.ERROR}
    assert ("gateway", "POST /checkout") in red
    assert {("auth", "SELECT"), ("auth", "db.connect")} & red


def test_three_clicks_lead_from_a_metric_to_a_trace_to_its_log(stores: Stores, case: Ran) -> None:
    """An exemplar has the id of a trace that Tempo has, and Loki has that trace's line."""
    found = stores.get(
        "prometheus",
        "/api/v1/query_exemplars",
        query='http_server_request_duration_seconds_bucket{service_name="auth"}',
        start=case.crime.start_s,
        end=case.crime.end_s + 3,
    )["data"]
    ids = {each["labels"]["trace_id"] for one in found for each in one["exemplars"]}
    assert ids, "no exemplar came with the histogram"
    with_lines = 0
    for trace_id in sorted(ids)[:20]:
        assert read_traces(stores.get("tempo", f"/api/v2/traces/{trace_id}"))
        line = f'{{service_name="auth"}} | trace_id="{trace_id}"'
        with_lines += stores.ask(Query("", "loki", line), case.crime).series
    assert with_lines > 0


def test_metrics_made_of_spans_have_exemplars_too(stores: Stores, case: Ran) -> None:
    """Tempo names the label otherwise; the data source knows both names."""
    found = stores.get(
        "prometheus",
        "/api/v1/query_exemplars",
        query="traces_spanmetrics_latency_bucket",
        start=case.crime.start_s,
        end=case.crime.end_s + 10,
    )["data"]
    assert {"traceID"} <= {
        name for one in found for each in one["exemplars"] for name in each["labels"]
    }


def test_everything_fits_into_1_3_gib(case: Ran) -> None:
    """The sum of proportional set sizes of every process, at the end of a run of db-timeout."""
    if not psutil.LINUX:
        pytest.skip("skipped: not Linux")
    assert sum(case.memory_mib.values()) <= MOST_MIB, case.memory_mib


def test_the_service_map_has_every_service(stores: Stores, ran: dict[str, Ran]) -> None:
    """With databases, which have no spans of their own, as their callers name them."""
    seen: set[str] = set()
    for each in ran.values():
        during = Interval(each.crime.start_s - 20, each.crime.end_s + 20)
        found = stores.get(
            "prometheus",
            "/api/v1/series",
            **{"match[]": "traces_service_graph_request_total"},
            start=during.start_s,
            end=during.end_s,
        )["data"]
        seen |= {one["client"] for one in found} | {one["server"] for one in found}
    assert {"gateway", "auth", "catalog", "checkout", "payments", "bank"} <= seen
    assert {"users_db", "catalog_db", "orders_db", "ledger_db"} <= seen
