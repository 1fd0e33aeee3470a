"""Texts that solve a case before its learner does are found; those that only hint are not."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import pytest

from lab.domain.exhibit import exhibits_in
from lab.lint import Problem, Rule, text_problems
from lab.scenario_file import load, parse
from lab.settings import CHECKOUT

REAL = load(CHECKOUT / "scenarios" / "db-timeout")
NOBODY = load(CHECKOUT / "scenarios" / "card-declined")


@dataclass(frozen=True)
class Texts:
    """A scenario like db-timeout with other words."""

    title: str = "A title"
    briefing: str = "Somebody is dead."
    hints: tuple[str, ...] = ("Look.", "Look again.", "auth's `SELECT`: timeout on auth-users_db")
    exceptions: str = "{}"
    accomplice: str = ""
    culprit: str = "{service: auth, name: SELECT, peer: users_db}"
    fault: str = "{edge: auth-users_db, toxic: timeout, timeout: 0ms}"
    mechanism: str = "timeout"
    exhibits: str = "{}"

    def problems(self) -> tuple[Problem, ...]:
        hints = "".join(f"  - {json.dumps(hint)}\n" for hint in self.hints)
        text = (
            f"title: {self.title}\ndifficulty: 1\nskill: A skill.\n"
            "load: {actors: {shopper: 12}}\n"
            "windows: {reference: 8s, crime: 12s, recovery: 8s}\n"
            f"faults: [{self.fault}]\n"
            "symptom: {route: POST /checkout, error_rate: '>= 95%'}\n"
            f"truth: {{mechanism: {self.mechanism}, culprit: {{any: [{self.culprit}]}}"
            f"{self.accomplice}}}\n"
            f"briefing_may_name: {self.exceptions}\n"
            f"hints:\n{hints}"
            f"exhibits: {self.exhibits}\n"
        )
        files = {"scenario.yaml": text, "briefing.md": self.briefing, "debrief.md": "It was."}
        return text_problems(parse(files, "a-case"))


def rules_against(briefing: str, like: Texts | None = None) -> list[Rule]:
    return [each.rule for each in replace(like or Texts(), briefing=briefing).problems()]


@pytest.mark.parametrize(
    ("name", "label", "rules"),
    [
        ("all-fail", "share of purchases that fail", []),
        ("all-fail", "auth's SELECT fails", [Rule.CULPRIT_SPAN, Rule.CULPRIT_SERVICE]),
        ("all-fail", "how long the timeout was", [Rule.MECHANISM_WORD]),
        ("a-timeout", "share of purchases that fail", [Rule.MECHANISM_WORD] * 2),
    ],
)
def test_what_a_briefing_links_to_can_be_read_as_soon_as_it_can(
    name: str, label: str, rules: list[Rule]
) -> None:
    """Its name stands in addresses and its label on pages, long before the last hint."""
    exhibit = "measure: requests, statistic: error_rate, bound: '>= 95%'"
    like = Texts(exhibits=f'{{{name}: {{{exhibit}, label: "{label}"}}}}')
    assert rules_against(f"[They](exhibit:{name}) are dead.", like) == rules


def test_a_last_hint_may_say_everything() -> None:
    """The last hint is the solution, and nothing before it says a word too much."""
    assert Texts().problems() == ()


@pytest.mark.parametrize(
    ("rule", "briefing"),
    [
        (Rule.CONTROL_WORD, "Some chaos."),
        (Rule.CONTROL_WORD, "The culprit fled."),
        (Rule.CONTROL_WORD, "It has a lease on life."),
        (Rule.SCENARIO_NAME, "This is a-case."),
        (Rule.SCENARIO_NAME, "You know: a\ntitle."),
        (Rule.CASE_ID, "As in a-case-7."),
        (Rule.EDGE_NAME, "Look at checkout-payments."),
        (Rule.EDGE_NAME, "Look at auth-users_db."),
        (Rule.EDGE_NAME, "It is users_db."),
        (Rule.CULPRIT_SPAN, "A `SELECT` hung."),
        (Rule.CULPRIT_SPAN, "Which SELECT."),
        (Rule.CULPRIT_SERVICE, "Ask auth."),
        (Rule.CULPRIT_SERVICE, "**Auth**'s fault"),
        (Rule.MECHANISM_WORD, "A timeout, they say."),
        (Rule.MECHANISM_WORD, "Timeouts everywhere."),
        (Rule.BRIEFING_LENGTH, "word " * 121),
    ],
)
def test_each_rule_rejects_and_no_other_does(rule: Rule, briefing: str) -> None:
    """One tainted briefing, one rule."""
    assert rules_against(briefing) == [rule]


@pytest.mark.parametrize(
    "briefing",
    [
        "Please release it. The lab is open.",
        "In a case like this, mind the title.",
        "The authors authorised it; GET /auth and oauth-users_db are theirs.",
        "Select one. SELECTED, or pre.SELECT.x.",
        "A time out of mind. timeout_s",
        "orders_db is fine.",  # Two edges lead there, and neither is hurt.
        "word " * 120,
    ],
)
def test_what_only_looks_alike_is_let_through(briefing: str) -> None:
    """The near misses of all rules."""
    assert rules_against(briefing) == []


def test_an_edge_in_other_words_is_that_edge() -> None:
    """An arrow between the two names is found like the name of the proxy."""
    like = Texts(fault="{edge: checkout-orders_db, toxic: timeout, timeout: 0ms}")
    assert rules_against("From `checkout` → `orders_db`.", like) == [Rule.EDGE_NAME]
    assert rules_against("checkout to orders_db", like) == [Rule.EDGE_NAME]
    assert rules_against("checkout or orders_db", like) == []


def test_a_route_is_neither_a_service_nor_a_span() -> None:
    """The page that suffers may be named although the culprit has its name."""
    like = Texts(culprit="{service: checkout, name: POST}")
    assert rules_against("`POST /checkout` is red.", like) == []
    assert rules_against("The POST of checkout is red.", like) == [
        Rule.CULPRIT_SPAN,
        Rule.CULPRIT_SERVICE,
    ]


@pytest.mark.parametrize(
    "spelled", ["connection-refused", "Connection\nrefused", "connectionRefused"]
)
def test_a_mechanism_of_two_words_is_found_however_they_are_joined(spelled: str) -> None:
    """Hyphen, white space or nothing between them."""
    assert rules_against(spelled, Texts(mechanism="connection-refused")) == [Rule.MECHANISM_WORD]
    assert rules_against("The connection was refused.", Texts(mechanism="connection-refused")) == []


def test_an_accomplice_is_a_secret_too() -> None:
    """Both culprits are kept."""
    accomplice = (
        ", accomplice: {mechanism: retry-amplification, any: [{service: payments, name: PUT}]}"
    )
    like = Texts(accomplice=accomplice)
    told = rules_against("A retry amplification: payments does PUT.", like)
    assert told == [Rule.CULPRIT_SPAN, Rule.CULPRIT_SERVICE, Rule.MECHANISM_WORD]


def test_title_and_hints_are_read_like_the_briefing() -> None:
    """Each text is told with its own line and field; only the last hint is free."""
    told = Texts(title="The timeout", hints=("Ask auth.", "Ask `SELECT`.", "auth.")).problems()
    assert [(each.line, each.field, each.rule) for each in told] == [
        (1, "title", Rule.MECHANISM_WORD),
        (11, "hints[0]", Rule.CULPRIT_SERVICE),
        (12, "hints[1]", Rule.CULPRIT_SPAN),
    ]
    assert {each.file for each in told} == {"scenarios/a-case/scenario.yaml"}


def test_the_last_hint_may_not_speak_of_the_lab_either() -> None:
    """It names the culprit, and no toxic."""
    (told,) = Texts(hints=("Look.", "It was a toxic.")).problems()
    assert (told.rule, told.field) == (Rule.CONTROL_WORD, "hints[1]")


def test_a_problem_of_the_briefing_has_its_line() -> None:
    """Where the words begin."""
    (told,) = Texts(briefing="Calm.\n\nNo, wait:\nsome chaos.").problems()
    assert str(told) == (
        "scenarios/a-case/briefing.md:4: control-word: expected no word of the lab's own "
        "machinery, found 'chaos'"
    )


def test_a_briefing_may_name_the_service_that_its_scenario_excuses() -> None:
    """The pager sometimes knows; then the scenario says so, and why."""
    excused = Texts(exceptions="{auth: the pager is auth's own}")
    assert rules_against("Ask auth.", excused) == []
    assert rules_against("Ask auth for its SELECT.", excused) == [Rule.CULPRIT_SPAN]


@pytest.mark.parametrize(
    ("exceptions", "briefing"),
    [("{auth: because}", "Ask nobody."), ("{gateway: because}", "Ask the gateway.")],
)
def test_an_exception_that_excuses_nothing_is_told(exceptions: str, briefing: str) -> None:
    """It would excuse tomorrow's slip."""
    (told,) = Texts(exceptions=exceptions, briefing=briefing).problems()
    assert (told.rule, told.line) == (Rule.NEEDLESS_EXCEPTION, 9)


@pytest.mark.parametrize(
    ("rule", "before", "after"),
    [
        (Rule.CONTROL_WORD, "The pager", "The warden"),
        (Rule.EDGE_NAME, "the money", "users_db"),
        (Rule.CULPRIT_SPAN, "button", "db.connect"),
        (Rule.CULPRIT_SERVICE, "The checkout team", "The auth team"),
        (Rule.MECHANISM_WORD, "an error page", "a timeout page"),
    ],
)
def test_a_tainted_copy_of_a_real_scenario_is_rejected(rule: Rule, before: str, after: str) -> None:
    """db-timeout itself is clean; one word makes it not so."""
    assert text_problems(REAL) == ()
    tainted = {
        **REAL.source,
        "briefing.md": REAL.source["briefing.md"].replace(before, after, 1),
    }
    assert tainted != REAL.source
    assert [each.rule for each in text_problems(parse(tainted, REAL.id))] == [rule]


def test_where_nobody_did_it_the_verdict_is_the_secret() -> None:
    """No span is the culprit, and the mechanism still is."""
    assert text_problems(NOBODY) == ()
    links = " ".join(f"[so](exhibit:{name})" for name in exhibits_in(NOBODY.briefing))
    briefing = f"A business rejection by payments. {links}"
    tainted = {**NOBODY.source, "briefing.md": briefing}
    assert [each.rule for each in text_problems(parse(tainted, NOBODY.id))] == [Rule.MECHANISM_WORD]
