"""The plan as the load process reads it."""

from __future__ import annotations

import json
from itertools import islice
from typing import Any

import pytest

from lab.load.plan import Plan
from lab.load.shape import PlanError

SHAPE = {"mix": {"shopper": 1}, "users": 12, "rate_per_s": None, "pace_s": 0.6}


def line(shape: dict[str, Any] | None = None, **changes: object) -> str:
    plan = {
        "host": "http://127.0.0.1:1",
        "otlp_endpoint": "http://127.0.0.1:2",
        "otlp_protocol": "http/protobuf",
        "request_log": "requests.jsonl",
        "seed": 1,
        "shapes": {"reference": SHAPE, "crime": {**SHAPE, **(shape or {})}},
        "timeout_s": 10.0,
        "max_run_s": 60.0,
        "max_requests": 1000,
    }
    return json.dumps({**plan, **changes})


def test_seats_are_kept_for_the_fullest_window() -> None:
    """Users are seated once, so that no window waits for Locust to start them."""
    plan = Plan.from_json(line({"users": 30}))

    assert plan.users == 30
    assert plan.connections == 0


def test_an_open_loop_has_a_connection_for_every_unanswered_arrival() -> None:
    """Rate × patience × 2; with fewer the loop would close without a word."""
    plan = Plan.from_json(line({"users": None, "rate_per_s": 15}))

    assert plan.connections == 300


BURST = {"size": 2, "at_s": 0.0, "over_s": 0.0, "every_s": None}
OPEN = {"users": None, "rate_per_s": 2}


def arrivals(shape: dict[str, Any], number: int) -> list[float]:
    return list(islice(Plan.from_json(line(shape)).shapes["crime"].arrivals(), number))


def test_a_burst_comes_on_top_of_the_steady_arrivals() -> None:
    """All at once, or evenly over a while; the others come as if nothing were."""
    at_once = {**BURST, "at_s": 0.75}
    spread = {**BURST, "at_s": 1.25, "over_s": 1}

    assert arrivals({**OPEN, "bursts": [at_once, spread]}, 8) == [
        0, 0.5, 0.75, 0.75, 1, 1.25, 1.5, 1.75
    ]  # fmt: skip


def test_a_burst_may_come_again_and_alone() -> None:
    """Two visitors every three seconds, and nobody else; a single burst ends."""
    again = {**BURST, "every_s": 3}

    assert arrivals({**OPEN, "rate_per_s": 0, "bursts": [again]}, 5) == [0, 0, 3, 3, 6]
    assert arrivals({**OPEN, "rate_per_s": 0, "bursts": [BURST]}, 5) == [0, 0]


def test_a_burst_has_its_own_connections() -> None:
    """Each arrival that may be unanswered at once needs one: 15/s and 30, or 2 every 3 s."""
    storm = Plan.from_json(line({**OPEN, "rate_per_s": 15, "bursts": [{**BURST, "size": 30}]}))
    again = Plan.from_json(line({**OPEN, "rate_per_s": 0, "bursts": [{**BURST, "every_s": 3}]}))

    assert storm.connections == 2 * (15 * 10 + 30)
    assert again.connections == 2 * (2 * 4)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ({"users": 1, "rate_per_s": 1}, "either users or rate_per_s"),
        ({"users": None}, "either users or rate_per_s"),
        ({"users": 0}, "above 0"),
        ({"users": None, "rate_per_s": -1}, "above 0"),
        ({"mix": {"wizard": 1}}, r"got \['wizard'\]"),
        ({"mix": {}}, "expected weights"),
        ({"mix": {"shopper": 0}}, "expected weights"),
        ({"mix": {"shopper": 2, "browser": -1}}, "expected weights"),
        ({"speed": 3}, "speed"),
        ({**OPEN, "rate_per_s": 0}, "above 0"),
        ({"bursts": [BURST]}, "expected bursts with rate_per_s only"),
        ({**OPEN, "bursts": [{**BURST, "size": 0}]}, "expected a size above 0"),
        ({**OPEN, "bursts": [{**BURST, "at_s": -1}]}, "no negative time"),
        ({**OPEN, "bursts": [{**BURST, "over_s": -1}]}, "no negative time"),
        ({**OPEN, "bursts": [{**BURST, "every_s": 0}]}, "before it comes again"),
        ({**OPEN, "bursts": [{**BURST, "over_s": 4, "every_s": 3}]}, "before it comes again"),
    ],
)
def test_an_impossible_shape_is_refused(shape: dict[str, Any], message: str) -> None:
    """A plan is refused before the first request, with what was expected and found."""
    with pytest.raises(PlanError, match=message):
        Plan.from_json(line(shape))


@pytest.mark.parametrize("text", ["", "[]", "{}", line(colour="red")])
def test_what_is_no_plan_is_refused(text: str) -> None:
    """A line that is not a plan says so instead of failing later."""
    with pytest.raises(PlanError, match="expected the fields of Plan"):
        Plan.from_json(text)
