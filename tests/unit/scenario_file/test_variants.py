"""Variants: the same seed gives the same plan, and truth and bounds follow from the plan."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab import scenario_file
from lab.domain.bound import parse as bound
from lab.domain.fault import Fault, Toxic
from lab.domain.instrumentation import Instrumentation, Sight
from lab.domain.scenario import Scenario, SpanDurationCheck
from lab.domain.variation import AS_WRITTEN_SEED, Variation, changes
from lab.errors import ScenarioError
from lab.investigation.running.verify import trials
from lab.scenario_file import json_schema, variants, varied
from tests.unit.scenario_file.test_reading import changed, read

TWO_CHOICES = Variation(
    {
        "delay": ({"delay": "150ms"}, {"delay": "120ms"}, {"delay": "180ms"}),
        "where": ({"where.db": "users_db"}, {"where.db": "catalog_db"}),
    }
)

VARIED = changed(
    vary="{delay: [150ms, 120ms], size: [20, 30], where: [{caller: auth, db: users_db}, "
    "{caller: catalog, db: catalog_db}]}",
    faults="[{edge: $(where.caller)-$(where.db), toxic: latency, latency: $(delay)}]",
    symptom="{route: GET /products, slow_rate: '>= 95%', slower_than: $(2x delay)}",
    truth="{mechanism: latency, culprit: {any: [{service: $(where.caller), "
    "peer: $(where.db), duration: '>= $(0.9x delay)'}]}}",
    checks="[{measure: span-duration, of: {peer: $(where.db)}, statistic: p50, "
    "bound: reference + $(delay) ±10%, label: late by $(delay)}]",
    min_requests="$(size)",
    hints="[It is $(where.caller)., Late by $(2x delay).]",
)


def with_numbers() -> Scenario:
    return read(VARIED, briefing="Late by $(delay), $(1.5x size) times.")


def the_other(scenario: Scenario) -> Scenario:
    """The variant in which everything is chosen last."""
    return list(variants(scenario))[-1]


# --- choices --------------------------------------------------------------------------------


def test_as_written_the_first_of_each_is_chosen() -> None:
    assert TWO_CHOICES.as_written == {"delay": "150ms", "where.db": "users_db"}
    assert TWO_CHOICES.drawn(AS_WRITTEN_SEED, "a-case") == TWO_CHOICES.as_written


@given(st.integers().filter(lambda seed: seed != AS_WRITTEN_SEED))
def test_any_other_seed_draws_a_plan_that_differs_and_always_the_same(seed: int) -> None:
    plan = TWO_CHOICES.drawn(seed, "a-case")
    assert plan == TWO_CHOICES.drawn(seed, "a-case")
    assert plan in list(TWO_CHOICES.plans())[1:]


def test_the_same_seed_draws_anew_for_every_case() -> None:
    """Else who knows one varied case would know how all the others are varied."""
    plans = [TWO_CHOICES.drawn(7, f"case-{number}") for number in range(30)]
    assert all(plan in plans for plan in list(TWO_CHOICES.plans())[1:])


def test_without_choices_a_seed_changes_nothing() -> None:
    assert Variation().drawn(7, "a-case") == {}
    assert list(Variation().plans()) == [{}]


def test_each_choice_deviates_alone_once() -> None:
    """So many readings find what is wrong with any choice."""
    assert [changes(plan, TWO_CHOICES.as_written) for plan in TWO_CHOICES.deviations()] == [
        "delay=120ms",
        "delay=180ms",
        "where.db=catalog_db",
    ]
    assert TWO_CHOICES.count == len(list(TWO_CHOICES.plans())) == 6


# --- what a plan fills in --------------------------------------------------------------------


def test_everything_that_names_a_value_follows_from_the_plan() -> None:
    """The fault, the symptom's bound, the truth, the checks, the words."""
    scenario = the_other(with_numbers())
    assert scenario.variant == "delay=120ms size=30 where.caller=catalog where.db=catalog_db"
    assert scenario.faults == (Fault("catalog-catalog_db", Toxic.LATENCY, {"latency": 120}),)
    assert scenario.symptom.slower_than_ms == 240
    [culprit] = scenario.truth.culprit
    assert culprit.predicate.service == "catalog"
    assert culprit.predicate.peer == "catalog_db"
    assert culprit.predicate.duration == bound(">= 108ms")
    [check] = scenario.checks
    assert isinstance(check, SpanDurationCheck)
    assert check.bound == bound("reference + 120ms ±10%")
    assert check.label == "late by 120 ms"
    assert scenario.min_requests == 30
    assert scenario.hints == ("It is catalog.", "Late by 240 ms.")
    assert scenario.briefing == "Late by 120 ms, 45 times."


def test_as_it_is_read_it_is_as_it_is_written() -> None:
    scenario = with_numbers()
    assert scenario.variant == ""
    assert scenario.faults == (Fault("auth-users_db", Toxic.LATENCY, {"latency": 150}),)
    assert scenario.briefing == "Late by 150 ms, 30 times."
    assert varied(scenario, AS_WRITTEN_SEED) is scenario


def test_a_varied_scenario_varies_again_from_what_was_written() -> None:
    scenario = with_numbers()
    assert varied(varied(scenario, 3), AS_WRITTEN_SEED) == scenario
    assert varied(varied(scenario, 3), 5) == varied(scenario, 5)


def test_a_scaled_number_stays_a_number_and_a_long_duration_gets_seconds() -> None:
    text = changed(
        vary="{n: [2, 4], limit: [800ms, 900ms]}",
        conditions="{checkout.pool_size: $(2x n), gateway.checkout_timeout: $(limit)}",
        hints="['$(1.5x limit), $(0.5x n), $(0.25x n)']",
    )
    scenario = read(text)
    assert scenario.conditions == {"checkout.pool_size": 4, "gateway.checkout_timeout": "800ms"}
    assert scenario.hints == ("1.2 s, 1, 0.5",)


def test_of_a_varied_scenario_a_trial_says_how_it_is_varied() -> None:
    """A row of a table of proofs must not be taken for one of the case as written."""
    [trial, twin] = trials([the_other(with_numbers())], twins=True)
    assert trial.name.startswith("a-case, delay=120ms ")
    assert twin.name == f"{trial.name}, without its culprit"


# --- what is refused -------------------------------------------------------------------------


def refused(briefing: str = "Somebody is dead.", **fields: str) -> tuple[str, ...]:
    with pytest.raises(ScenarioError) as caught:
        read(changed(**fields), briefing=briefing)
    return caught.value.problems


LATE = "[{edge: auth-users_db, toxic: latency, latency: $(delay)}]"


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"vary": "[]"}, "10 vary: expected a mapping, got a list"),
        ({"vary": "{Delay: [1, 2]}"},
         "10 vary.Delay: expected a name of lower-case words joined by _, got 'Delay'"),
        ({"vary": "{delay: [150ms]}", "faults": LATE},
         "10 vary.delay: List should have at least 2 items after validation, not 1, got a list"),
        ({"vary": "{delay: [150ms, 150ms]}", "faults": LATE},
         "10 vary.delay[1]: expected every choice once, got '150ms' again"),
        ({"vary": "{delay: [150ms, {is: 1}]}", "faults": LATE},
         "10 vary.delay[1]: expected one value as in the first choice, got {'is': 1}"),
        ({"vary": "{where: [{a: 1, b: 2}, {a: 3}]}", "hints": "['$(where.a)$(where.b)']"},
         "10 vary.where[1]: expected the names a, b as in the first choice, got {'a': 3}"),
        ({"vary": "{where: [{}, {a: 3}]}"},
         "10 vary.where[0]: expected at least one name with its value, found none"),
        ({"vary": "{where: [{A: 1}, {A: 3}]}"},
         "10 vary.where[0]: expected a name of lower-case words joined by _, got 'A'"),
        ({"vary": "{where: [{a: []}, {a: 3}]}"},
         "10 vary.where[0].a: expected text, a number, true or false"),
        ({"vary": "{delay: [null, 3]}"},
         "10 vary.delay[0]: expected text, a number, true or false, or a mapping of such"),
        ({"vary": "{delay: [$(other), 3]}"},
         "10 vary.delay[0]: expected a value as it is, without a placeholder, got '$(other)'"),
        ({"vary": "{delay: [150ms, 120ms], b: [1, 2]}", "faults": LATE},
         "10 vary.b: expected $(b) somewhere in this file, found it nowhere"),
        ({"vary": "{where: [{delay: 1ms, b: 1}, {delay: 2ms, b: 1}]}",
          "faults": LATE.replace("delay", "where.delay")},
         "10 vary.where: expected $(where.b) somewhere, found it nowhere"),
        ({"vary": f"{{a: {list(range(24))}, b: {list(range(24))}}}"},
         "10 vary: expected at most 512 plans, got 576 ways to choose"),
        ({"vary": "{delay: [150ms, 120ms]}", "faults": LATE, "hints": "[$(delai)]"},
         "9 hints[0]: unknown name 'delai'; did you mean delay?"),
        ({"faults": LATE},
         "6 faults[0].latency: expected no placeholder without vary, got $(delay)"),
        ({"vary": "{delay: [150ms, 120ms]}", "faults": LATE, "hints": "[$(2 delay)]"},
         ("9 hints[0]: expected a placeholder such as $(delay) or $(0.9x delay), "
         "got '$(2 delay)'")),
        ({"vary": "{delay: [150ms, 120ms]}", "faults": LATE, "hints": "[it takes $(delay]"},
         ("9 hints[0]: expected a placeholder such as $(delay) or $(0.9x delay), "
         "got '$(delay'")),
        ({"vary": "{db: [users, catalog]}", "hints": "[$(2x db)]"},
         "9 hints[0]: expected a number or a quantity to multiply in $(2x db), got 'users'"),
        ({"vary": "{delay: [150ms, 1.5]}", "faults": LATE},
         ("6 faults[0].latency: expected a duration with its unit, such as 400ms or 1.5s, got 1.5 "
         "(with delay=1.5)")),
        ({"vary": "{delay: [fast, 120ms]}", "faults": LATE},
         ("6 faults[0].latency: expected a duration with its unit, such as 400ms or 1.5s, "
         "got 'fast'")),
        ({"instrumentation": "{some: gap}"},
         ("10 instrumentation.some: unknown level of instrumentation 'some'; "
         "expected one of auto, full, none")),
        ({"instrumentation": "{auto: gape}"},
         "10 instrumentation.auto: unknown sight 'gape'; did you mean gap?"),
    ],
)  # fmt: skip
def test_what_cannot_vary_is_told_with_its_line_and_field(
    fields: dict[str, str], problem: str
) -> None:
    assert f"scenarios/a-case/scenario.yaml:{problem}" in refused(**fields)


def test_a_placeholder_that_leads_nowhere_hides_no_other_problem() -> None:
    told = refused(faults=LATE, difficulty="9", vary="{delay: 3}")
    assert [each.split()[1] for each in told] == ["difficulty:", "vary.delay:"]


def test_placeholders_of_the_other_texts_are_looked_at_too() -> None:
    told = refused(briefing="One.\nTwo $(what).")
    assert told == (
        "scenarios/a-case/briefing.md:2 expected no placeholder without vary, got $(what)",
    )


def test_a_name_that_only_changes_words_is_no_variation() -> None:
    """A choice that stands in the briefing alone would vary nothing that anybody could find out."""
    told = refused(briefing="At $(hour).", vary="{hour: [noon, midnight]}")
    assert told == (
        (
            "scenarios/a-case/scenario.yaml:10 vary.hour: "
            "expected $(hour) somewhere in this file, found it nowhere"
        ),
    )


def test_words_may_belong_to_a_value_that_does_vary() -> None:
    faults = LATE.replace("delay", "delay.is")
    vary = "{delay: [{is: 500ms, words: half a second}, {is: 1s, words: a second}]}"
    scenario = read(changed(vary=vary, faults=faults), briefing="It takes $(delay.words).")
    assert [each.briefing for each in variants(scenario)] == [
        "It takes half a second.",
        "It takes a second.",
    ]


def test_a_plan_that_a_scenario_does_not_have_is_refused() -> None:
    """Whoever wrote a case folder may claim anything."""
    source = with_numbers().source
    with pytest.raises(ScenarioError, match="1 vary: expected a plan that it allows, got"):
        scenario_file.parse(source, "a-case", {"delay": "9s"})


yaml_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["$(delay)", "1ms", "$(", "a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abA_."), inner),
    max_leaves=8,
)


@settings(max_examples=60)
@given(yaml_values)
def test_any_vary_is_read_or_refused_and_never_a_traceback(value: Any) -> None:
    with suppress(ScenarioError):
        assert read(changed(vary=json.dumps(value), hints='["$(delay)"]')).plan


# --- the rest of what is new in the language -------------------------------------------------


def test_levels_of_instrumentation_say_what_is_to_be_seen() -> None:
    scenario = read(changed(instrumentation="{none: gap, auto: ancestor, full: culprit}"))
    assert scenario.instrumentation == {
        Instrumentation.NONE: Sight.GAP,
        Instrumentation.AUTO: Sight.ANCESTOR,
        Instrumentation.FULL: Sight.CULPRIT,
    }


def test_an_editor_takes_a_placeholder_for_every_value_but_in_vary() -> None:
    """Where a number or one of some words is meant; what tells mappings apart stays."""
    schema = json.loads(json_schema())
    latency = schema["$defs"]["LatencyEntry"]["properties"]
    placeholder = {"$ref": "#/$defs/Placeholder"}
    assert placeholder in latency["latency"]["anyOf"]
    assert placeholder in latency["edge"]["anyOf"]
    assert latency["toxic"] == {"const": "latency", **_told(latency["toxic"])}
    assert placeholder in schema["properties"]["min_requests"]["anyOf"]
    assert "Placeholder" not in json.dumps(schema["properties"]["vary"])


def _told(schema: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key != "const"}
