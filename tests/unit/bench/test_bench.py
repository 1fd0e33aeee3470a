"""The bench's table says what holds, what was missed and what was left out, and why."""

from __future__ import annotations

import importlib
import itertools
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from lab.domain.evidence import Interval
from lab.domain.journal import Step
from lab.domain.load import Window
from lab.domain.proof import Finding, Outcome, Proof
from lab.settings import CHECKOUT
from tests.support.recorded_cases import recorded


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Imports a module of ``bench/``, which is a folder of scripts and no package."""
    monkeypatch.syspath_prepend(str(CHECKOUT / "bench"))
    return importlib.import_module


def case_with(*findings: Finding) -> Any:
    """As much of a case as the bench reads."""
    return SimpleNamespace(
        case_id="db-timeout-1",
        scenario=SimpleNamespace(id="db-timeout"),
        proof=Proof(findings),
        opened_unix_s=100.0,
        evidence=SimpleNamespace(windows={Window.RECOVERY: Interval(90.0, 98.0)}),
    )


def finding(check: str, expected: str, outcome: Outcome, integrity: bool = False) -> Finding:
    return Finding(Step.EVIDENCE, check, expected, "something", outcome, integrity)


@pytest.mark.parametrize(
    ("values", "verdict"),
    [((3.0, 4.0, 9.0), "holds"), ((3.0, 4.1, 9.0), "**missed**"), ((4.0,), "holds")],
)
def test_the_judged_number_decides(
    bench: Callable[[str], Any], values: tuple[float, ...], verdict: str
) -> None:
    """A promise holds up to its limit, by the median where nothing else is said."""
    assert bench("promises").UP.measured(values).verdict == verdict


def test_several_values_show_their_spread(bench: Callable[[str], Any]) -> None:
    """Least, middle and most are all there, with the number that is judged."""
    line = bench("promises").BY_ID.measured([0.5, 0.1, 2.0]).line()

    assert line == (
        "| whole trace by id after the answer, shop idle | 0.10 / 0.50 / 2.00 s (n=3) "
        "| p95 2.00 | ≤ 1 s | **missed** |"
    )


def test_what_is_left_out_says_why(bench: Callable[[str], Any]) -> None:
    """A skipped row has neither a number nor a verdict, only its reason."""
    row = bench("promises").MEMORY.skipped("skipped: not Linux")

    assert (row.measured, row.verdict) == ("", "skipped: not Linux")


def test_a_measurement_that_fails_is_a_miss(bench: Callable[[str], Any]) -> None:
    """Each of its promises gets a row with the reason, on one line, its bars escaped."""
    promises = bench("promises")

    def fail() -> list[Any]:
        raise ExceptionGroup("several", [OSError("no\nroute | to Tempo")])

    rows = promises.attempt([promises.BY_ID, promises.BY_SEARCH], fail)

    assert [row.what for row in rows] == [promises.BY_ID.what, promises.BY_SEARCH.what]
    assert rows[0].line().endswith("| **missed**: OSError: no route \\| to Tempo |")


def test_a_table_has_a_line_for_every_row(bench: Callable[[str], Any]) -> None:
    """All lines of a table have as many cells as its head."""
    promises = bench("promises")
    rows = [promises.UP.measured([1]), promises.DOWN.failed("a | b"), promises.SETUP.skipped("no")]

    lines = promises.table(rows).splitlines()

    assert len(lines) == 2 + len(rows)
    assert {line.replace("\\|", "").count("|") for line in lines} == {6}


def test_a_proven_run_holds(bench: Callable[[str], Any]) -> None:
    """With all its findings holding, the row says *proven*."""
    row = bench("measure").proven_row(case_with(finding("a", "1", Outcome.HOLDS)))

    assert row.verdict == "holds: proven"


@pytest.mark.parametrize(
    ("findings", "verdict"),
    [
        (
            [finding("spans received", "= 9 ended", Outcome.FAILS, integrity=True)],
            "**missed**: incomplete; spans received: expected = 9 ended, found something",
        ),
        (
            [finding("errors", "> 3", Outcome.FAILS)],
            "**missed**: refuted; errors: expected > 3, found something",
        ),
        ([], "**missed**: incomplete"),
    ],
)
def test_a_run_that_is_not_proven_is_a_miss(
    bench: Callable[[str], Any], findings: list[Finding], verdict: str
) -> None:
    """Its row names the verdict and what kept it from *proven*."""
    assert bench("measure").proven_row(case_with(*findings)).verdict == verdict


def test_latency_at_the_hop_is_judged_by_the_call_that_is_furthest_off(
    bench: Callable[[str], Any],
) -> None:
    """Late by something else than was injected is a miss, and so is no call at all."""
    case = recorded("slow-shelves")
    assert bench("measure").hop_row(case).verdict.startswith("holds: SELECT late by 15")
    [fault] = case.scenario.faults
    claimed = replace(case.scenario, faults=(replace(fault, attributes={"latency": 162}),))
    assert bench("measure").hop_row(replace(case, scenario=claimed)).is_missed
    nowhere = replace(case.scenario, faults=())
    with pytest.raises(Exception, match="expected calls over the hurt edge, found none"):
        bench("measure").hop_row(replace(case, scenario=nowhere))


def test_opening_lasts_until_the_folder_rests(bench: Callable[[str], Any], tmp_path: Path) -> None:
    """From the recovery's end to the folder's last change, not to the verdict in memory."""
    os.utime(tmp_path, (103.5, 103.5))

    assert bench("measure").opening_time_s(case_with(), tmp_path) == 5.5


def test_files_of_two_names_are_kept_once(bench: Callable[[str], Any], tmp_path: Path) -> None:
    """A hard link takes no disk."""
    (tmp_path / "one").write_bytes(b"x" * 1_000_000)
    alone_gb = bench("measure").kept_gb(tmp_path)
    os.link(tmp_path / "one", tmp_path / "two")

    assert bench("measure").kept_gb(tmp_path) == alone_gb > 0


def test_ended_spans_come_from_the_proof(bench: Callable[[str], Any]) -> None:
    """Where a counter could not be read there is no number, rather than a wrong one."""
    arrival = bench("arrival")

    assert (
        arrival.spans_ended(case_with(finding("spans received", "= 9 ended", Outcome.FAILS))) == 9
    )
    with pytest.raises(bench("promises").MeasurementError, match="could not be read"):
        arrival.spans_ended(case_with(finding("spans received", "= spans ended", Outcome.UNKNOWN)))


def test_a_search_counts_once_two_answers_agree(bench: Callable[[str], Any]) -> None:
    """The first answers lag; one that comes twice is taken."""
    answers = iter([{"a"}, {"a", "b"}, {"a", "b"}, {"a", "b", "c"}])

    async def ask() -> frozenset[str]:
        return frozenset(next(answers))

    assert anyio.run(bench("arrival").agreed, ask, 0) == {"a", "b"}


def test_searches_that_never_agree_are_no_number(bench: Callable[[str], Any]) -> None:
    """The asking has an end."""
    numbers = itertools.count()

    async def ask() -> frozenset[str]:
        return frozenset({str(next(numbers))})

    with pytest.raises(bench("promises").MeasurementError, match="no two of"):
        anyio.run(bench("arrival").agreed, ask, 0)


def test_each_measurement_keeps_the_sections_of_the_others(bench: Callable[[str], Any]) -> None:
    """A section is replaced where it is, or added at the end; whatever else is there stays."""
    with_section = bench("results").with_section
    first = with_section("", "Measured", "| 1 |\n")
    both = with_section(first, "Soak", "| 2 |")
    assert both == "# Measured\n\n| 1 |\n\n# Soak\n\n| 2 |\n"
    again = with_section(both, "Measured", "| 3 |")
    assert again == "# Measured\n\n| 3 |\n\n# Soak\n\n| 2 |\n"
    assert with_section(again, "Soak", "| 2 |") == again


def test_a_soak_counts_what_outlived_its_lease(bench: Callable[[str], Any]) -> None:
    """One kill whose harm stayed too long, one false proof, one broken folder: each is a miss."""
    soak, wardens, runs = bench("soak"), bench("warden_kills"), bench("run_kills")
    held = wardens.Moment.HELD
    calm = soak.warden_rows([wardens.WardenKill(held, 1.0), wardens.WardenKill(held, 2.9)])
    late = soak.warden_rows([wardens.WardenKill(held, 1.0), wardens.WardenKill(held, 3.1)])
    assert [row.is_missed for row in calm] == [False, False]
    assert [row.is_missed for row in late] == [True, True]
    good = runs.RunKill("tempo", 0.1, falsely_proven=False, corrupt_cases=0)
    assert not any(row.is_missed for row in soak.run_rows([good]))
    bad = runs.RunKill("tempo", 3.1, falsely_proven=True, corrupt_cases=1)
    assert all(row.is_missed for row in soak.run_rows([good, bad]))


def test_what_a_request_costs_is_what_it_adds_to_an_idle_part(bench: Callable[[str], Any]) -> None:
    """What a part takes with nobody there is not the requests'; no part gives time back."""
    module = bench("request_costs")
    idle = dict.fromkeys(module.PARTS, 0.5)
    busy = dict.fromkeys(module.PARTS, 1.5) | {"notifier": 0.4}

    costs = module.costs_of(idle, busy, requests=100, spans=2200)

    assert (costs.ms["gateway"], costs.ms["notifier"], costs.spans) == (10.0, 0.0, 22.0)
    assert costs.services_ms == 60.0
    assert costs.all_ms == 110.0
    lines = module.costs_table({"POST /checkout": costs}).splitlines()
    assert "| gateway | 10.00 ms | 100 a second |" in lines
    assert "| notifier | 0.00 ms | more than matters |" in lines
    assert lines[-1] == "| all on one machine | 110.00 ms | 9 a second |"


def test_no_cost_is_told_of_requests_that_never_came(bench: Callable[[str], Any]) -> None:
    with pytest.raises(bench("promises").MeasurementError, match="none was"):
        bench("request_costs").costs_of({}, {}, requests=0, spans=0)


def test_the_strangers_file_is_what_it_is_said_to_be(
    bench: Callable[[str], Any], tmp_path: Path
) -> None:
    """The same each time, of as many traces and spans as the table says, some of them failed."""
    from lab.adapters.otlp.traces import read_traces

    first, second = tmp_path / "a", tmp_path / "b"
    spans = bench("strangers").write_demo(first, 120)
    bench("strangers").write_demo(second, 120)
    assert first.read_bytes() == second.read_bytes()
    found = [span for line in first.read_text().splitlines()
             for trace in read_traces(json.loads(line)).values() for span in trace]  # fmt: skip
    assert len(found) == spans == 480
    assert len({span.trace_id for span in found}) == 120
