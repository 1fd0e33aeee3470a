"""Telemetry that names the lab is found, wherever in it the words stand."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from lab.adapters.otlp.traces import trace_to_otlp
from lab.lint import Problem, Rule, TelemetryLint, merged
from tests.support.sample_case import fatal_trace

LEASE = "4f1de0c2a3b64b7d9c0e5a6b7c8d9e0f"
TITLES = {"db-timeout": "The clock stops at checkout", "slow-shelves": "Through mud"}
TRACE = trace_to_otlp(fatal_trace("ab" * 16))
METRIC = {
    "resourceMetrics": [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "auth"}}]},
            "scopeMetrics": [
                {"metrics": [{"name": "db.client.operation.duration", "unit": "s", "sum": {}}]}
            ],
        }
    ]
}
LOG = {"service": "auth", "severity": "ERROR", "body": "Connection timeout", "attributes": {}}
REQUEST = {"actor": "shopper", "route": "POST /checkout", "tenant": "acme", "status": 504}


def problems(*documents: object) -> tuple[Problem, ...]:
    rules = TelemetryLint(TITLES, [LEASE])
    return tuple(
        problem
        for number, each in enumerate(documents, start=1)
        for problem in rules.line_problems("traces.jsonl", number, json.dumps(each))
    )


def rules_against(text: str) -> list[Rule]:
    return [problem.rule for problem in problems({**LOG, "body": text})]


@pytest.mark.parametrize("document", [TRACE, METRIC, LOG, REQUEST])
def test_what_the_shop_really_says_is_no_spoiler(document: object) -> None:
    """Spans, metrics, logs and requests of a sick shop may name the sickness."""
    assert problems(document) == ()


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (Rule.CONTROL_WORD, "toxic added"),
        (Rule.CONTROL_WORD, "via Toxiproxy"),
        (Rule.CONTROL_WORD, "X-Chaos: 1"),
        (Rule.CONTROL_WORD, "fault_injected=true"),
        (Rule.CONTROL_WORD, "told by the warden"),
        (Rule.CONTROL_WORD, "SCENARIO"),
        (Rule.CONTROL_WORD, "theCulprit"),
        (Rule.CONTROL_WORD, "decoys"),
        (Rule.CONTROL_WORD, "lease gone"),
        (Rule.CONTROL_WORD, "the_lease"),
        (Rule.CONTROL_WORD, "currentLeaseId"),
        (Rule.CONTROL_WORD, 'File "app.py", line 3, in inject\n  raise OSError'),
        (Rule.SCENARIO_NAME, "run of db-timeout"),
        (Rule.SCENARIO_NAME, "lab_DB-Timeout_x"),
        (Rule.SCENARIO_NAME, "the clock\n stops at Checkout!"),
        (Rule.CASE_ID, "db-timeout-1"),
        (Rule.CASE_ID, "/.lab/cases/.run-slow-shelves-12/requests.jsonl"),
        (Rule.EDGE_NAME, "proxy auth-users_db"),
        (Rule.EDGE_NAME, '{"proxy": {"name": "auth-users_db"}}'),
        (Rule.EDGE_NAME, r'{"proxy": "auth\u002dusers_db"}'),
        (Rule.EDGE_NAME, "q=auth%2Dusers_db"),
        (Rule.EDGE_NAME, "[Checkout-Payments]"),
        (Rule.LEASE_ID, f"held: {LEASE.upper()}"),
    ],
)
def test_each_rule_rejects_and_no_other_does(rule: Rule, text: str) -> None:
    """One tainted log line, one rule."""
    assert rules_against(text) == [rule]


@pytest.mark.parametrize(
    "text",
    [
        "TimeoutError: connection timeout, the pool releases it; please retry",
        "a Release, so pleased",
        "db timeout, db_timeout, mud-db-timeouts",
        "oauth-users_db, auth-users_dbs, auth users_db, gateway",
        "timeout-1, slow-shelve-1, slower-db-timeouts-1",
        "ab" * 16,
        'Traceback\n  File "/home/me/chaos/toxiproxy-lab/app.py", line 3, in call\nTimeoutError',
        '{"is": "json"}',
        "{no json}",
        "100%",
    ],
)
def test_what_only_looks_alike_is_let_through(text: str) -> None:
    """The near misses of all rules."""
    assert rules_against(text) == []


def _span(trace: Any) -> Any:
    return trace["resourceSpans"][-1]["scopeSpans"][0]["spans"][-1]


def _taint_key(trace: Any) -> None:
    _span(trace)["attributes"].append({"key": "toxic", "value": {"boolValue": True}})


def _taint_value(trace: Any) -> None:
    _span(trace)["attributes"].append({"key": "a", "value": {"stringValue": "toxic"}})


def _taint_list(trace: Any) -> None:
    values = {"arrayValue": {"values": [{"intValue": "1"}, {"stringValue": "toxic"}]}}
    _span(trace)["attributes"].append({"key": "a", "value": values})


def _taint_name(trace: Any) -> None:
    _span(trace)["name"] = "GET toxic"


def _taint_event(trace: Any) -> None:
    _span(trace)["events"] = [{"name": "toxic"}]


def _taint_link(trace: Any) -> None:
    _span(trace)["links"] = [{"traceState": "vendor=toxic"}]


def _taint_status(trace: Any) -> None:
    _span(trace)["status"] = {"code": 2, "message": "toxic"}


def _taint_resource(trace: Any) -> None:
    trace["resourceSpans"][0]["resource"]["attributes"][0]["key"] = "toxic"


def _taint_scope(trace: Any) -> None:
    trace["resourceSpans"][0]["scopeSpans"][0]["scope"] = {"name": "toxic"}


@pytest.mark.parametrize(
    ("taint", "ends"),
    [
        (_taint_key, ".key"),
        (_taint_value, ".value.stringValue"),
        (_taint_list, ".value.arrayValue.values[1].stringValue"),
        (_taint_name, ".name"),
        (_taint_event, ".events[0].name"),
        (_taint_link, ".links[0].traceState"),
        (_taint_status, ".status.message"),
        (_taint_resource, ".resource.attributes[0].key"),
        (_taint_scope, ".scope.name"),
    ],
)
def test_a_word_is_found_in_every_part_of_a_span(taint: Callable[[Any], None], ends: str) -> None:
    """Name, attributes, events, links, status, scope and resource; the field says which."""
    trace = json.loads(json.dumps(TRACE))
    taint(trace)
    (problem,) = problems(LOG, trace)
    assert (problem.line, problem.rule, problem.found) == (2, Rule.CONTROL_WORD, "toxic")
    assert problem.field.startswith(".resourceSpans[")
    assert problem.field.endswith(ends)


def test_a_field_is_a_path_as_jq_takes_it() -> None:
    """Odd keys are quoted, and JSON inside a text is entered."""
    inner = json.dumps({"list": [{"x-chaos header": 1}]})
    (problem,) = problems({"attributes": {"http.body": inner}})
    assert problem.field == '(.attributes["http.body"] | fromjson).list[0]["x-chaos header"]'


def test_a_word_is_found_in_metrics_and_in_routes() -> None:
    """What is no span is read by the same rules."""
    metric = json.loads(json.dumps(METRIC).replace("db.client", "chaos.client"))
    route = {**REQUEST, "route": "GET /scenarios"}
    assert [(each.line, each.found) for each in problems(metric, route)] == [
        (1, "chaos"),
        (2, "scenarios"),
    ]


@pytest.mark.parametrize("line", ['{"torn": "toxi', "[" * 100_000])
def test_a_line_that_cannot_be_read_is_no_clean_one(line: str) -> None:
    """What cannot be looked through may hold anything."""
    (problem,) = TelemetryLint(TITLES).line_problems("logs.jsonl", 3, line)
    assert (problem.rule, problem.line) == (Rule.UNREADABLE, 3)


def test_what_leaks_with_every_request_is_told_once_and_counted() -> None:
    """The second kind of leak is not buried under the first."""
    tainted = [{"spans": [{"name": "toxic"}, {"name": "toxic"}]}, {"spans": [{"name": "chaos"}]}]
    told = merged(problems(*tainted, *tainted))
    assert [(each.found, each.line, each.times) for each in told] == [
        ("toxic", 1, 4),
        ("chaos", 2, 2),
    ]
    assert str(told[0]) == (
        "traces.jsonl:1 .spans[0].name: control-word: expected no word of the lab's own "
        "machinery, found 'toxic' (4 times)"
    )


def test_what_was_innocent_before_does_not_hide_what_is_not() -> None:
    """Texts met before are not looked at again; a line with one new text is."""
    rules = TelemetryLint(TITLES)
    lines = [json.dumps({"name": name, "n": "1"}) for name in ("GET", "GET", "toxic", "toxic")]
    found = [len(list(rules.line_problems("f", n, line))) for n, line in enumerate(lines)]
    assert found == [0, 0, 1, 1]
