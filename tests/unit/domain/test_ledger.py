"""What a learner did, and what it comes to: points, delays, and who may see the answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab.adapters.memory.case_archive import MemoryArchive
from lab.adapters.memory.clock import FakeClock
from lab.domain.accusation import Accusation
from lab.domain.ledger import DELAYS_S, Ledger, LedgerEntry
from lab.domain.mechanism import Mechanism, Scope
from lab.domain.verdict import HINT_COST, POINTS, VerdictClass
from lab.errors import TooSoon, UsageError
from lab.investigation.solving.briefing import briefing
from lab.investigation.solving.hints import offered_hints
from lab.investigation.solving.moves import Solving
from tests.support.sample_case import sample_case, span_id

TRACE = "01bb" * 8
CASE = sample_case(level=1)
GUILTY = Accusation(((TRACE, span_id(TRACE, 6)),), (Mechanism.TIMEOUT,))
WRONG = Accusation(((TRACE, span_id(TRACE, 2)),), (Mechanism.TIMEOUT,), scope=Scope.SOME_TIMES)

TOGETHER = Accusation(
    (*GUILTY.spans, *WRONG.spans), (Mechanism.TIMEOUT, Mechanism.RETRY_AMPLIFICATION)
)


@pytest.fixture
def solving(tmp_path: Path) -> Solving:
    archive = MemoryArchive(tmp_path, FakeClock())
    archive.seal(CASE)
    return Solving(archive, FakeClock())


def wrong(at_s: float, verdict: VerdictClass = VerdictClass.INNOCENT) -> LedgerEntry:
    return LedgerEntry(at_s, accusation=WRONG, verdict=verdict)


def test_what_an_agent_called_is_noted_each_time_until_the_case_is_closed(solving: Solving) -> None:
    """It costs nothing, and comes back as it was written."""
    for _ in range(2):
        solving.note_call(CASE.case_id, "get_services limit=3")
    solving.give_up(CASE.case_id)
    solving.note_call(CASE.case_id, "get_services limit=3")
    found = solving.ledger(CASE.case_id)
    assert [each.called for each in found.entries] == ["get_services limit=3"] * 2 + [None]
    assert found.entries[0].record() == {"called": "get_services limit=3"}
    assert found.accusations == ()


def test_what_is_tried_in_a_solved_case_is_no_part_of_solving_it() -> None:
    """It was solved at the second try, whatever is asked of the judge later."""
    solved = LedgerEntry(2.0, accusation=GUILTY, verdict=VerdictClass.SOLVED)
    ledger = Ledger((wrong(1.0), solved, wrong(3.0), replace(solved, time_unix_s=4.0)))
    assert ledger.tries == (wrong(1.0), solved)
    assert Ledger((wrong(1.0), wrong(3.0))).tries == (wrong(1.0), wrong(3.0))
    assert len(ledger.accusations) == 4


@pytest.mark.parametrize(
    "entry",
    [
        LedgerEntry(1.0, accusation=WRONG, verdict=VerdictClass.MESSENGER),
        LedgerEntry(2.0, accusation=GUILTY, verdict=VerdictClass.SOLVED),
        LedgerEntry(2.5, accusation=TOGETHER, verdict=VerdictClass.SOLVED),
        LedgerEntry(2.7, accusation=Accusation((), nobody=True), verdict=VerdictClass.SOMEBODY),
        LedgerEntry(3.0, hint=2),
        LedgerEntry(4.0, assist="contrast"),
        LedgerEntry(5.0, looked_at=TRACE),
        LedgerEntry(6.0, gave_up=True),
    ],
)
def test_what_is_written_down_is_read_back(entry: LedgerEntry) -> None:
    """Each kind of entry survives its record."""
    assert LedgerEntry.read({"time_unix_s": entry.time_unix_s, **entry.record()}) == entry


@pytest.mark.parametrize(
    "record",
    [
        {"verdict": "hanged"},
        {"hint": "two"},
        {"mechanism": "gremlins", "verdict": "solved"},
        {"mechanism": "timeout", "spans": [["only one"]]},
        {"mechanisms": ["timeout", "latency", "latency"], "spans": [["a", "b"]]},
        {"time_unix_s": "noon"},
    ],
)
def test_what_nobody_wrote_so_is_left_out(record: dict[str, object]) -> None:
    """A ledger edited by hand loses that entry alone, and solves nothing."""
    ledger = Ledger.of([record, {"hint": 1}])
    assert ledger.solved is None
    assert ledger.hints_read == {1}
    assert len(ledger.entries) == 1


def test_each_wrong_accusation_delays_the_next_longer_up_to_a_cap() -> None:
    """Counted from the last wrong one; a slip of the pen counts for nothing."""
    for count in range(1, 10):
        ledger = Ledger(tuple(wrong(float(n)) for n in range(count)))
        expected = DELAYS_S[min(count, len(DELAYS_S)) - 1]
        assert ledger.wait_s(float(count - 1)) == expected
        assert ledger.wait_s(count - 1 + expected) == 0
    slips = tuple(wrong(0.0, VerdictClass.UNKNOWN_TRACE) for _ in range(9))
    assert Ledger(slips).wait_s(0.0) == 0
    assert sorted(DELAYS_S) == list(DELAYS_S)


def test_a_clock_set_back_locks_nobody_out() -> None:
    """The delay is never longer than it is."""
    ledger = Ledger(tuple(wrong(1_000_000.0) for _ in range(3)))
    assert ledger.wait_s(0.0) == DELAYS_S[2]


def test_hints_are_charged_once_and_only_before_solving(solving: Solving) -> None:
    """Read twice, one; read afterwards, none; unsolved, nothing at all."""
    solving.read_hint(CASE, 1)
    solving.read_hint(CASE, 1)
    ledger = solving.ledger(CASE.case_id)
    assert (ledger.points, ledger.worth) == (None, POINTS - HINT_COST)
    assert solving.accuse(CASE, GUILTY).is_solved
    solving.read_hint(CASE, 2)
    assert solving.ledger(CASE.case_id).points == POINTS - HINT_COST
    assert solving.ledger(CASE.case_id).hints_read == {1, 2}


def test_the_words_of_a_hint_come_after_its_price(solving: Solving) -> None:
    """Titles and costs of all, the text of those that were read; a number too many is refused."""
    solving.read_hint(CASE, 2)
    offered = offered_hints(CASE, solving.ledger(CASE.case_id))
    assert [each.text is not None for each in offered] == [False, True, *[False] * 4]
    assert [each.cost for each in offered] == [HINT_COST, 0, *[HINT_COST] * 4]
    assert offered[-1].title == "The solution"
    with pytest.raises(UsageError, match="1 to 6"):
        solving.read_hint(CASE, 7)


def test_who_gives_up_sees_everything_for_nothing(solving: Solving) -> None:
    """And solving it afterwards brings nothing either; no delay is left."""
    solving.accuse(CASE, WRONG)
    solving.give_up(CASE.case_id)
    assert solving.ledger(CASE.case_id).may_see_answers
    solving.accuse(CASE, GUILTY)
    assert solving.ledger(CASE.case_id).points == 0


def test_giving_up_after_solving_changes_nothing(solving: Solving) -> None:
    """The points stay."""
    solving.accuse(CASE, GUILTY)
    solving.give_up(CASE.case_id)
    assert solving.ledger(CASE.case_id).points == POINTS


def test_who_guesses_is_told_to_wait(solving: Solving) -> None:
    """The second wrong one delays; what is not heard is not judged, and not written down."""
    solving.accuse(CASE, WRONG)
    solving.accuse(CASE, WRONG)
    with pytest.raises(TooSoon, match="5 s"):
        solving.accuse(CASE, GUILTY)
    assert len(solving.ledger(CASE.case_id).accusations) == 2


def test_tools_and_looks_are_noted_while_the_case_is_open(solving: Solving) -> None:
    """Each tool once, the same trace once in a row, nothing after it is over."""
    for _ in range(2):
        solving.note_assist(CASE.case_id, "contrast")
        solving.note_look(CASE.case_id, TRACE)
    solving.accuse(CASE, GUILTY)
    solving.note_look(CASE.case_id, "02bb" * 8)
    solving.note_assist(CASE.case_id, "twin")
    ledger = solving.ledger(CASE.case_id)
    assert ledger.assists == ("contrast",)
    assert [each.looked_at for each in ledger.entries if each.looked_at] == [TRACE]


def test_a_ledger_of_an_older_case_has_one_word_for_all_spans() -> None:
    old = {"time_unix_s": 1.0, "mechanism": "timeout", "spans": [["a", "b"], ["a", "c"]]}
    entry = LedgerEntry.read(old)
    assert entry is not None
    assert entry.accusation is not None
    assert entry.accusation.charges == (
        ("a", "b", Mechanism.TIMEOUT),
        ("a", "c", Mechanism.TIMEOUT),
    )


def test_an_accusation_has_one_mechanism_or_one_for_each_span() -> None:
    with pytest.raises(ValueError, match="expected one mechanism, or one for each of 2 spans"):
        Accusation(TOGETHER.spans, (Mechanism.TIMEOUT,) * 3)
    with pytest.raises(ValueError, match="expected one mechanism"):
        Accusation(TOGETHER.spans)


def test_where_the_scope_counts_an_accusation_without_one_is_refused_and_costs_nothing(
    tmp_path: Path,
) -> None:
    """It is a slip of the pen: nothing is judged, nothing is written down."""
    asked = replace(CASE, scenario=replace(CASE.scenario, scope_counts=True))
    archive = MemoryArchive(tmp_path, FakeClock())
    archive.seal(asked)
    solving = Solving(archive, FakeClock())
    with pytest.raises(UsageError, match="the scope, whom it hit, is part of the answer"):
        solving.accuse(asked, GUILTY)
    assert solving.ledger(asked.case_id).entries == ()
    assert solving.accuse(asked, replace(GUILTY, scope=Scope.ALL)).is_solved
    assert "whom it hit, is part of the answer" in briefing(asked)
    assert "whom it hit" not in briefing(CASE)


def test_the_worked_example_brings_nothing_and_costs_nothing() -> None:
    """Its solution is told everywhere; another level brings what its hints left."""
    entries = (LedgerEntry(1.0, hint=1), LedgerEntry(2.0, verdict=VerdictClass.SOLVED))
    example, other = Ledger(entries, level=0), Ledger(entries, level=1)
    assert (example.is_example, example.points, Ledger((), level=0).worth) == (True, 0, 0)
    assert (other.is_example, other.points) == (False, POINTS - HINT_COST)
    free = [each.cost for each in offered_hints(CASE, Ledger((), level=0))]
    dear = [each.cost for each in offered_hints(CASE, Ledger((), level=1))]
    assert (set(free), set(dear)) == ({0}, {HINT_COST})
