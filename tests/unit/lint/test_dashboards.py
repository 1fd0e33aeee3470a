"""Dashboards made for one case are found; those that serve every case are not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lab.lint import Problem, Rule, dashboard_problems
from lab.scenario_file import load_all
from lab.settings import CHECKOUT

SCENARIOS = load_all(CHECKOUT / "scenarios")
SLOW_MS = SCENARIOS["slow-shelves"].symptom.slower_than_ms or 0.0


def dashboard(**panel: Any) -> str:
    """A dashboard with one panel for every service, changed in these fields."""
    everybody = {
        "title": "Slow requests of $service",
        "targets": [{"query": '{ resource.service.name = "$service" && duration > 1s }'}],
        "fieldConfig": {
            "defaults": {"unit": "ms", "thresholds": {"steps": [{"value": None}, {"value": 7000}]}}
        },
    }
    row = {"type": "row", "panels": [{**everybody, **panel}]}
    return json.dumps({"title": "Shop", "panels": [row]}, indent=2)


def problems(text: str) -> list[Problem]:
    return list(dashboard_problems("shop.json", text, SCENARIOS))


def thresholds(value: float) -> dict[str, Any]:
    return {"defaults": {"thresholds": {"steps": [{"value": None}, {"value": value}]}}}


def query(text: str) -> list[dict[str, str]]:
    return [{"query": text}]


@pytest.mark.parametrize(
    ("rule", "panel"),
    [
        (Rule.CONTROL_WORD, {"title": "Toxics"}),
        (Rule.SCENARIO_NAME, {"title": "As in slow-shelves"}),
        (Rule.SCENARIO_NAME, {"description": "The clock stops at checkout"}),
        (Rule.CASE_ID, {"title": "db-timeout-1"}),
        (Rule.EDGE_NAME, {"title": "auth-users_db"}),
        (Rule.ONE_CASE, {"targets": query('{ .service.name = "auth" && name = "SELECT" }')}),
        (Rule.ONE_CASE, {"title": "GET /products", "fieldConfig": thresholds(SLOW_MS)}),
        (Rule.ONE_CASE, {"title": "/products", "fieldConfig": thresholds(SLOW_MS / 1000)}),
        (Rule.ONE_CASE, {"targets": query(f'{{ route="/products" && duration > {SLOW_MS:g}ms }}')}),
        (Rule.ONE_CASE, {"title": "POST /checkout", "fieldConfig": thresholds(95)}),
    ],
)
def test_each_rule_rejects_and_no_other_does(rule: Rule, panel: dict[str, Any]) -> None:
    """One tainted panel, one rule."""
    assert {each.rule for each in problems(dashboard(**panel))} == {rule}


@pytest.mark.parametrize(
    "panel",
    [
        {},
        {"targets": query('{ .service.name = "$service" && name = "SELECT" }')},
        {"targets": query('{ .service.name = "auth" }')},
        {"title": "GET /products", "fieldConfig": thresholds(7 * SLOW_MS)},
        {"title": "GET /products/{id}", "fieldConfig": thresholds(SLOW_MS)},
        {"title": "$route", "fieldConfig": thresholds(SLOW_MS)},
        {"targets": query('{ route="/products" && duration > 7s }')},
        {"title": "Released requests", "description": "db timeout"},
    ],
)
def test_what_serves_every_case_is_let_through(panel: dict[str, Any]) -> None:
    """The near misses of all rules."""
    assert problems(dashboard(**panel)) == []


def test_a_problem_has_its_line_and_field() -> None:
    """Where the words stand first."""
    text = dashboard(title="Toxics")
    (told,) = problems(text)
    assert text.splitlines()[told.line - 1].strip() == '"title": "Toxics",'
    assert told.field == ".panels[0].panels[0].title"


def test_a_file_that_is_no_json_is_no_clean_dashboard() -> None:
    """What cannot be looked through may hold anything."""
    assert [each.rule for each in problems("{")] == [Rule.UNREADABLE]
