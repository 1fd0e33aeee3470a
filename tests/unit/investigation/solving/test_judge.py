import time
from dataclasses import replace

import pytest

from lab.domain.accusation import Accusation
from lab.domain.evidence import Sample
from lab.domain.load import Window
from lab.domain.mechanism import Mechanism, Scope
from lab.domain.predicate import Predicate
from lab.domain.scenario import Accomplice, Alternative, Equal, Scenario
from lab.domain.trace import Kind, Span, Status, Trace
from lab.domain.verdict import LEAST_POINTS, POINTS, Judgement, VerdictClass, points
from lab.investigation.solving.judge import judge
from tests.support.evidence import DB_TIMEOUT, Run, card_declined, db_timeout, slow_shelves
from tests.support.traces import EPOCH_NS, healthy_checkout, request, silent_login_check

RIGHT = Mechanism.TIMEOUT
RETRY = Mechanism.RETRY_AMPLIFICATION


def spans_of(run: Run, sample: Sample, which: int = 0, **wanted: object) -> list[Span]:
    """The spans of one of the sample's traces whose fields are as wanted."""
    drawn = run.samples[sample][which]
    return [
        span
        for span in drawn
        if all(getattr(span, name) == value for name, value in wanted.items())
    ]


def accuse(
    run: Run,
    *spans: Span,
    mechanism: Mechanism = RIGHT,
    each_its_own: tuple[Mechanism, ...] = (),
    scope: Scope | None = None,
    scenario: Scenario | None = None,
) -> VerdictClass:
    return judged(
        run, *spans, mechanisms=each_its_own or (mechanism,), scope=scope, scenario=scenario
    ).verdict


def judged(
    run: Run,
    *spans: Span,
    mechanisms: tuple[Mechanism, ...] = (RIGHT,),
    scope: Scope | None = None,
    scenario: Scenario | None = None,
) -> Judgement:
    charges = tuple((span.trace_id, span.span_id) for span in spans)
    accusation = Accusation(charges, mechanisms, scope=scope)
    return judge(scenario or run.scenario, run.evidence(), accusation)


def accuse_nobody(run: Run, *mechanisms: Mechanism) -> VerdictClass:
    accusation = Accusation((), mechanisms, nobody=True)
    return judge(run.scenario, run.evidence(), accusation).verdict


def warm_select(run: Run) -> Span:
    [span] = spans_of(run, Sample.AFFECTED, 0, name="SELECT")
    return span


def cold_connect(run: Run) -> Span:
    [span] = spans_of(run, Sample.AFFECTED, 5, name="db.connect")
    return span


@pytest.mark.parametrize("culprit", [warm_select, cold_connect])
def test_any_form_of_the_culprit_with_its_mechanism_solves(culprit: object) -> None:
    run = db_timeout()
    assert accuse(run, culprit(run)) is VerdictClass.SOLVED  # type: ignore[operator]


def test_a_scope_is_not_asked_where_everyone_was_hit() -> None:
    run = db_timeout()
    assert accuse(run, warm_select(run), scope=Scope.SOME_TENANTS) is VerdictClass.SOLVED


def test_the_culprit_with_another_mechanism_is_close() -> None:
    run = db_timeout()
    assert accuse(run, warm_select(run), mechanism=Mechanism.LATENCY) is VerdictClass.CLOSE


@pytest.mark.parametrize(
    ("scope", "verdict"),
    [
        (Scope.SOME_CONNECTIONS, VerdictClass.SOLVED),
        (Scope.ALL, VerdictClass.CLOSE),
        (None, VerdictClass.CLOSE),
    ],
)
def test_the_scope_counts_where_not_everyone_was_hit(
    scope: Scope | None, verdict: VerdictClass
) -> None:
    run = db_timeout()
    truth = replace(DB_TIMEOUT.truth, scope=Scope.SOME_CONNECTIONS)
    scenario = replace(DB_TIMEOUT, truth=truth)
    assert accuse(run, warm_select(run), scope=scope, scenario=scenario) is verdict


def test_a_decoy_is_a_bystander_even_where_it_lies_on_the_path() -> None:
    run = db_timeout()
    [acquire] = spans_of(run, Sample.AFFECTED, 5, name="pool.acquire")
    assert accuse(run, acquire) is VerdictClass.BYSTANDER


def test_every_ancestor_of_the_culprit_is_a_messenger() -> None:
    run = db_timeout()
    drawn = run.samples[Sample.AFFECTED][0]
    for span in drawn.ancestors(warm_select(run)):
        assert accuse(run, span) is VerdictClass.MESSENGER


def test_a_victim_beside_the_path_is_a_messenger_too() -> None:
    run = slow_shelves()
    truth = replace(run.scenario.truth, victims=(Predicate(service="auth", kind=Kind.SERVER),))
    [auth] = spans_of(run, Sample.AFFECTED, 0, service="auth", kind=Kind.SERVER)
    assert accuse(run, auth, mechanism=Mechanism.LATENCY) is VerdictClass.INNOCENT
    scenario = replace(run.scenario, truth=truth)
    assert accuse(run, auth, scenario=scenario) is VerdictClass.MESSENGER


def test_a_span_that_nothing_speaks_against_is_innocent() -> None:
    run = slow_shelves()
    [acquire] = spans_of(run, Sample.AFFECTED, 0, service="catalog", name="pool.acquire")
    assert accuse(run, acquire, mechanism=Mechanism.LATENCY) is VerdictClass.INNOCENT


@pytest.mark.parametrize("sample", [Sample.REFERENCE, Sample.RECOVERY])
def test_a_trace_from_outside_the_crime_is_wrong_evidence(sample: Sample) -> None:
    run = db_timeout()
    healthy, *_ = spans_of(run, sample, 0, service="auth", name="SELECT")
    assert accuse(run, healthy) is VerdictClass.WRONG_EVIDENCE


def test_a_healthy_trace_from_the_crime_is_wrong_evidence() -> None:
    run = db_timeout().add(Sample.UNAFFECTED, 1, healthy_checkout)
    healthy, *_ = spans_of(run, Sample.UNAFFECTED, 0, service="auth", name="SELECT")
    assert accuse(run, healthy) is VerdictClass.WRONG_EVIDENCE


def test_another_route_that_died_of_the_same_cause_is_as_good_as_evidence() -> None:
    run = db_timeout()
    other = silent_login_check("e" * 32, warm=True)
    run.samples[Sample.UNAFFECTED] = [other]
    run.requests.append(request("e" * 32, Window.CRIME, route="GET /products", status=504))
    [culprit] = [span for span in other if span.name == "SELECT"]
    assert accuse(run, culprit) is VerdictClass.SOLVED


@pytest.mark.parametrize("charge", [("f" * 32, "1" * 16), (f"{21:032x}", "f" * 16)])
def test_what_the_case_file_does_not_hold_is_unknown(charge: tuple[str, str]) -> None:
    accusation = Accusation((charge,), (RIGHT,))
    judgement = judge(DB_TIMEOUT, db_timeout().evidence(), accusation)
    assert judgement.verdict is VerdictClass.UNKNOWN_TRACE


def test_an_accusation_without_spans_accuses_nothing_that_is_known() -> None:
    assert accuse(db_timeout()) is VerdictClass.UNKNOWN_TRACE


def test_one_unknown_span_makes_the_whole_accusation_unknown() -> None:
    run = db_timeout()
    ghost = replace(warm_select(run), span_id="f" * 16)
    assert accuse(run, warm_select(run), ghost) is VerdictClass.UNKNOWN_TRACE


def test_accusing_everybody_solves_nothing() -> None:
    run = db_timeout()
    everybody = spans_of(run, Sample.AFFECTED)
    assert accuse(run, *everybody) is VerdictClass.MESSENGER
    assert accuse(run, *reversed(everybody)) is VerdictClass.MESSENGER


def test_two_forms_of_the_one_culprit_may_be_accused_together() -> None:
    run = db_timeout()
    assert accuse(run, warm_select(run), cold_connect(run)) is VerdictClass.SOLVED


class TestTwoAccomplices:
    """A case with an accomplice needs both parties named."""

    scenario = replace(
        DB_TIMEOUT,
        truth=replace(
            DB_TIMEOUT.truth,
            accomplice=Accomplice(
                Mechanism.RETRY_AMPLIFICATION,
                (Alternative(Predicate(service="gateway", kind=Kind.CLIENT)),),
            ),
        ),
    )

    def accuse(self, *names: str, mechanisms: tuple[Mechanism, ...]) -> Judgement:
        run = db_timeout()
        found = {
            "culprit": warm_select(run),
            "accomplice": spans_of(run, Sample.AFFECTED, service="gateway", kind=Kind.CLIENT)[0],
            "gateway": spans_of(run, Sample.AFFECTED, service="gateway", kind=Kind.SERVER)[0],
        }
        spans = [found[name] for name in names]
        return judged(run, *spans, mechanisms=mechanisms, scenario=self.scenario)

    def test_both_solve_each_by_its_own_mechanism(self) -> None:
        both = self.accuse("culprit", "accomplice", mechanisms=(RIGHT, RETRY))
        assert both.is_solved
        assert f"That is `{RIGHT}`" in both.text
        assert f"That is `{RETRY}`" in both.text
        assert self.accuse("accomplice", "culprit", mechanisms=(RETRY, RIGHT)).is_solved

    @pytest.mark.parametrize("word", [RIGHT, RETRY])
    def test_one_word_for_both_is_right_of_one(self, word: Mechanism) -> None:
        told = self.accuse("culprit", "accomplice", mechanisms=(word,))
        assert told.verdict is VerdictClass.CLOSE
        assert f"`{word}` is the way of one, not of the other" in told.text

    @pytest.mark.parametrize(("name", "word"), [("culprit", RIGHT), ("accomplice", RETRY)])
    def test_one_alone_is_told_that_it_was_not_alone(self, name: str, word: Mechanism) -> None:
        told = self.accuse(name, mechanisms=(word,))
        assert told.verdict is VerdictClass.CLOSE
        assert (
            f"One of two: it did it, and `{word}` is how, but it did not do it alone" in told.text
        )

    def test_one_alone_by_a_wrong_word_is_told_both(self) -> None:
        told = self.accuse("culprit", mechanisms=(Mechanism.LATENCY,))
        assert told.verdict is VerdictClass.CLOSE
        assert "did not do it alone" in told.text
        assert "`latency` is not how" in told.text

    def test_both_with_a_third_mechanism_are_close(self) -> None:
        told = self.accuse("culprit", "accomplice", mechanisms=(Mechanism.LATENCY,))
        assert told.verdict is VerdictClass.CLOSE

    def test_both_and_a_messenger_are_not_solved(self) -> None:
        three = (RIGHT, RETRY, RIGHT)
        told = self.accuse("culprit", "accomplice", "gateway", mechanisms=three)
        assert told.verdict is VerdictClass.MESSENGER


class TestEqualAnswers:
    """Another answer may be as good, by a mechanism of its own."""

    scenario = replace(
        DB_TIMEOUT,
        decoys=(),
        truth=replace(
            DB_TIMEOUT.truth,
            equals=(
                Equal(
                    Mechanism.POOL_EXHAUSTION,
                    (Alternative(Predicate(name="pool.acquire", status=Status.ERROR)),),
                    "A larger pool would have done.",
                ),
            ),
        ),
    )

    def test_it_solves_and_is_told_which_word_stands_before_its_own(self) -> None:
        run = db_timeout()
        [acquire] = spans_of(run, Sample.AFFECTED, 5, name="pool.acquire")
        told = judged(run, acquire, mechanisms=(Mechanism.POOL_EXHAUSTION,), scenario=self.scenario)
        assert told.is_solved
        assert "`timeout` fits as well, and stands before it in the list." in told.text
        assert told.text.endswith("A larger pool would have done.")

    def test_its_word_is_no_other_spans(self) -> None:
        run = db_timeout()
        how = Mechanism.POOL_EXHAUSTION
        select = warm_select(run)
        assert accuse(run, select, mechanism=how, scenario=self.scenario) is VerdictClass.CLOSE
        [acquire] = spans_of(run, Sample.AFFECTED, 5, name="pool.acquire")
        assert accuse(run, acquire, scenario=self.scenario) is VerdictClass.CLOSE


def test_close_says_which_part_is_right() -> None:
    run = db_timeout()
    assert (
        "The span is right" in judged(run, warm_select(run), mechanisms=(Mechanism.LATENCY,)).text
    )
    asked = replace(DB_TIMEOUT, scope_counts=True)
    wrong = judged(run, warm_select(run), scope=Scope.SOME_TIMES, scenario=asked)
    assert wrong.verdict is VerdictClass.CLOSE
    assert "Span and mechanism are right, but it did not hit `some-times`" in wrong.text
    assert judged(run, warm_select(run), scope=Scope.ALL, scenario=asked).is_solved
    unsaid = judged(run, warm_select(run), scenario=asked)
    assert "you did not say whom it hit" in unsaid.text


def test_a_wrong_scope_that_does_not_count_is_told_after() -> None:
    run = db_timeout()
    told = judged(run, warm_select(run), scope=Scope.SOME_TENANTS)
    assert told.is_solved
    assert told.text.endswith("it hit `all`, not `some-tenants`. It did not count.")
    assert "did not count" not in judged(run, warm_select(run), scope=Scope.ALL).text


def test_solved_names_the_mechanism_and_why_it_is_no_other() -> None:
    run = db_timeout()
    assert judged(run, warm_select(run)).text == (
        f"{VerdictClass.SOLVED.sentence} auth SELECT ended in TimeoutError after 1.00s, without an "
        f"answer; usually it has one after 0.40ms. That is `timeout`. {RIGHT.apart}"
    )


def test_nobody_with_the_right_reason_solves_a_case_that_nobody_did() -> None:
    run = card_declined()
    assert accuse_nobody(run, Mechanism.BUSINESS_REJECTION) is VerdictClass.SOLVED
    assert accuse_nobody(run) is VerdictClass.SOLVED
    assert accuse_nobody(run, Mechanism.TIMEOUT) is VerdictClass.CLOSE


def test_nobody_is_the_wrong_answer_where_somebody_did_it() -> None:
    assert accuse_nobody(db_timeout(), Mechanism.BUSINESS_REJECTION) is VerdictClass.SOMEBODY


def test_where_nobody_did_it_the_evidence_is_a_bystander_and_what_waits_for_it_a_messenger() -> (
    None
):
    run = card_declined()

    def of(**wanted: object) -> Span:
        return spans_of(run, Sample.AFFECTED, 0, **wanted)[0]

    assert accuse(run, of(name="charge_credit_card")) is VerdictClass.BYSTANDER
    assert accuse(run, of(service="bank")) is VerdictClass.BYSTANDER
    assert accuse(run, of(service="gateway", kind=Kind.SERVER)) is VerdictClass.MESSENGER
    assert accuse(run, of(service="auth", name="SELECT")) is VerdictClass.INNOCENT


def test_a_verdict_speaks_of_the_accused_alone() -> None:
    """The class's sentence, a reason and the accused's numbers; it names no other span."""
    run = db_timeout()
    [gateway] = spans_of(run, Sample.AFFECTED, 0, service="gateway", kind=Kind.SERVER)
    accusation = Accusation(((gateway.trace_id, gateway.span_id),), (RIGHT,))
    judgement = judge(DB_TIMEOUT, run.evidence(), accusation)
    assert judgement.text == (
        f"{VerdictClass.MESSENGER.sentence} It failed with what had failed inside it. gateway POST "
        "/checkout took 1.01s (usually 29.0ms, ×35), 1.0ms of it itself, status error."
    )
    assert not judgement.is_solved


def test_a_span_the_reference_never_saw_is_said_to_be_new() -> None:
    run = db_timeout()
    text = judged(run, cold_connect(run), mechanisms=(Mechanism.LATENCY,)).text
    assert "auth db.connect took 400ms, and is new, 400ms of it itself" in text


def test_the_same_accusation_gets_the_same_words() -> None:
    run = db_timeout()
    accusation = Accusation(((warm_select(run).trace_id, warm_select(run).span_id),), (RIGHT,))
    assert judge(DB_TIMEOUT, run.evidence(), accusation) == judge(
        DB_TIMEOUT, run.evidence(), accusation
    )


def test_hints_cost_points_and_never_all_of_them() -> None:
    assert points(0) == POINTS
    assert points(1) < points(0)
    assert points(99) == LEAST_POINTS


def test_a_trace_of_500_spans_is_judged_at_once() -> None:
    """The limit is 5 ms a trace; ten times that, at best of five, is left to a busy machine."""
    run = db_timeout()
    chain = [
        Span(
            trace_id="e" * 32,
            span_id=f"{number:016x}",
            parent_id=f"{number // 2:016x}" if number > 1 else None,
            name="SELECT",
            kind=Kind.CLIENT,
            service="auth",
            start_ns=EPOCH_NS + number,
            end_ns=EPOCH_NS + 10**9,
            status=Status.ERROR,
        )
        for number in range(1, 501)
    ]
    run.samples[Sample.AFFECTED].append(Trace("e" * 32, tuple(chain)))
    run.requests.append(request("e" * 32, Window.CRIME, status=504))
    evidence = run.evidence()
    accusation = Accusation((("e" * 32, f"{500:016x}"),), (RIGHT,))
    judge(DB_TIMEOUT, evidence, accusation)
    times_s = []
    for _ in range(5):
        began = time.perf_counter()
        judge(DB_TIMEOUT, evidence, accusation)
        times_s.append(time.perf_counter() - began)
    assert min(times_s) < 0.05
