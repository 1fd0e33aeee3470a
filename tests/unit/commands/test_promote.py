"""`lab promote`: an incident of anybody's becomes an exercise that lints, opens and is graded."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lab.adapters.cases.archive import FolderArchive
from lab.adapters.cases.recording_file import RECORDING, read_recording
from lab.adapters.otlp.traces import write_traces
from lab.cli import app
from lab.domain.evidence import Sample
from lab.domain.load import Window
from lab.domain.proof import ProofVerdict
from lab.domain.trace import Kind, Span, Status, Trace
from lab.errors import LabError, UsageError
from lab.settings import CHECKOUT
from tests.support.desk_over_memory import DeskUnderTest, addresses_about
from tests.support.recorded_cases import recorded

BEGAN_NS = 1_700_000_000_000_000_000
MS = 10**6
ROOT, CALLER, ANSWER, CULPRIT, OTHER = range(1, 6)


def trace_id(number: int) -> str:
    return f"{number + 1:032x}"


def span_id(number: int, place: int) -> str:
    return f"{16 * (number + 1) + place:016x}"


def basket(number: int, *, slow: bool, failing: bool = False) -> Trace:
    """A request for a basket, a second after the one before; the store is late, or fails."""
    took, start_ns = (900 if slow else 40) * MS, BEGAN_NS + number * 10**9
    status = Status.ERROR if failing else Status.UNSET
    rows = (
        (ROOT, None, "GET /basket", Kind.SERVER, "frontend", 0, took + 20 * MS),
        (CALLER, ROOT, "Basket.Get", Kind.CLIENT, "frontend", 5 * MS, took + 10 * MS),
        (ANSWER, CALLER, "Basket.Get", Kind.SERVER, "basket", 6 * MS, took + 9 * MS),
        (CULPRIT, ANSWER, "HGETALL", Kind.CLIENT, "basket", 8 * MS, took + 7 * MS),
        (OTHER, ROOT, "render", Kind.INTERNAL, "frontend", took + 11 * MS, took + 19 * MS),
    )
    spans = tuple(
        Span(
            trace_id=trace_id(number),
            span_id=span_id(number, place),
            parent_id=None if parent is None else span_id(number, parent),
            name=name,
            kind=kind,
            service=service,
            start_ns=start_ns + start,
            end_ns=start_ns + end,
            status=Status.UNSET if place == OTHER else status,
            resource={"service.name": service},
        )
        for place, parent, name, kind, service, start, end in rows
    )
    return Trace(trace_id(number), spans)


@dataclass
class Bench:
    """The command line over a state folder and a folder of scenarios of its own."""

    place: Path

    def lab(self, *words: str) -> Any:
        env = {
            "LAB_STATE_DIR": str(self.place / "state"),
            "LAB_SCENARIOS_DIR": str(self.place / "scenarios"),
        }
        result = CliRunner().invoke(app, words, env=env)
        if isinstance(result.exception, LabError):
            raise result.exception
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    def bring(self, *words: str, failing: bool = False) -> None:
        """A minute that was well, and one in which every second basket was not."""
        traces = [
            basket(n, slow=n >= 60 and n % 2 == 0, failing=failing and n >= 60 and n % 2 == 0)
            for n in range(120)
        ]
        path = self.place / "incident.jsonl"
        path.write_text("\n".join(json.dumps(write_traces([each])) for each in traces))
        self.lab("import", str(path), *words)

    def promote(self, *more: str, place: int = CULPRIT, number: int = 80, **said: str) -> Any:
        answers = {
            "name": "slow-basket",
            "trace": trace_id(number),
            "span": span_id(number, place),
            "mechanism": "latency",
            "title": "A page takes its time",
            "briefing": "Since a minute ago half of all pages take a second to open.",
        } | said
        words = [word for key, value in answers.items() if value for word in (f"--{key}", value)]
        return self.lab("promote", *more, *words)

    def accuse(self, number: int, place: int, mechanism: str = "latency") -> str:
        said = ("--mechanism", mechanism, "--scope", "some-times", "--json")
        row = self.lab("accuse", trace_id(number), span_id(number, place), *said)
        return str(json.loads(row.stdout)["verdict"])

    @property
    def made(self) -> Path:
        return self.place / "scenarios" / "slow-basket"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr("lab.investigation.solving.moves.Solving.wait_s", lambda *_: 0.0)
    (tmp_path / "scenarios").mkdir()
    return Bench(tmp_path)


def bring_compared(bench: Bench) -> None:
    bench.bring("--before", "0s..60s")


def bring_alone(bench: Bench) -> None:
    bench.bring(failing=True)


@pytest.mark.parametrize("bring", [bring_compared, bring_alone])
def test_an_incident_of_a_stranger_becomes_a_case_that_is_graded(
    bench: Bench, bring: Callable[[Bench], None]
) -> None:
    """With a healthy time and without: it lints, opens, is judged, and every page of it opens."""
    bring(bench)
    assert "slow-basket holds what happened" in bench.promote(scope="some-times").stdout.replace(
        "\n", " "
    )
    assert sorted(each.name for each in bench.made.iterdir()) == [
        "briefing.md", "debrief.md", RECORDING, "scenario.yaml",
    ]  # fmt: skip
    assert bench.lab("lint").exit_code == 0
    opened = bench.lab("practice", "slow-basket", "--no-desk").stdout
    assert "PROVEN" in opened
    assert bench.accuse(80, CALLER) == "messenger"
    assert bench.accuse(80, OTHER) == "innocent"
    assert bench.accuse(81, CULPRIT) == "wrong-evidence"
    assert bench.accuse(82, CULPRIT, "timeout") == "close"
    case = read_recording(bench.made / RECORDING)
    desk = DeskUnderTest(bench.place, archive=FolderArchive(bench.place / "state" / "cases"))
    opening = [each.replace(case.case_id, "slow-basket-1") for each in addresses_about(case)]
    for solved in (False, True):
        if solved:
            words = ("accuse", trace_id(84), span_id(84, CULPRIT), "--mechanism", "latency")
            assert bench.lab(*words, "--scope", "some-times").exit_code == 0
            assert "HGETALL" in bench.lab("debrief").stdout
        broken = {each: desk.get(each).status_code for each in opening}
        assert {each: code for each, code in broken.items() if code >= 500} == {}


def test_a_case_of_the_labs_own_is_promoted_with_its_windows(bench: Bench) -> None:
    """What somebody found in it becomes the truth of another scenario."""
    case = recorded("db-timeout")
    state = bench.place / "state"
    bench.lab("import", str(CHECKOUT / "scenarios" / "db-timeout" / RECORDING))
    stats = case.evidence.reference_stats
    trace = case.evidence.whole_traces(Sample.AFFECTED)[0]
    [culprit, *_] = case.scenario.truth.culprits_in(trace, stats)
    said: dict[str, Any] = {
        "trace": trace.trace_id, "span": culprit.span_id,
        "mechanism": case.scenario.truth.mechanism.value,
    }  # fmt: skip
    bench.promote(**said)
    made = read_recording(bench.made / RECORDING)
    assert made.proof.verdict is ProofVerdict.PROVEN
    assert set(made.evidence.windows) >= {Window.REFERENCE, Window.CRIME, Window.RECOVERY}
    shutil.rmtree(state)
    bench.lab("practice", "slow-basket", "--no-desk")
    words = ("accuse", trace.trace_id, culprit.span_id, "--mechanism", said["mechanism"])
    assert bench.lab(*words).exit_code == 0


def test_what_is_promoted_is_exported_and_never_run(bench: Bench) -> None:
    """Its file opens in another checkout; no command that runs a shop takes it."""
    bring_compared(bench)
    elsewhere = bench.place / "shared"
    assert "recorded.case.zip` opens it" in bench.promote("--into", str(elsewhere)).stdout.replace(
        "\n", " "
    )
    assert not bench.made.exists()
    bench.lab("import", str(elsewhere / "slow-basket" / RECORDING))
    bench.lab("export", "slow-basket-1", "--to", str(bench.place / "it.case.zip"))
    bench.promote()
    for words in (("run", "slow-basket"), ("verify", "slow-basket"), ("record", "slow-basket")):
        with pytest.raises(UsageError, match="happened once and is recorded"):
            bench.lab(*words)
    with pytest.raises(UsageError, match="found none to record"):
        bench.lab("record", "--all")
    desk = DeskUnderTest(bench.place, archive=FolderArchive(bench.place / "none"))
    assert desk.get("/").status_code == 200


@pytest.mark.parametrize(
    ("said", "refusal"),
    [
        ({"place": CALLER}, "it began there"),
        ({"place": OTHER}, "name another span"),
        ({"number": 81}, "expected a trace of somebody who was hurt"),
        ({"number": 10}, "expected a trace of the incident"),
        ({"mechanism": "slowness"}, "unknown mechanism 'slowness'"),
        ({"mechanism": "business-rejection"}, "expected a mechanism by which a span did it"),
        ({"scope": "everybody"}, "unknown scope"),
        ({"briefing": "The store HGETALL is late."}, "no span of the culprit's"),
        ({"briefing": "word " * 121}, "at most 120 words"),
        ({"title": "The latency of it"}, "no mechanism before the last hint"),
        ({"name": "Slow Basket"}, "lower-case words"),
        ({"span": "", "title": "", "name": ""}, "expected --name .*; --span .*; --title"),
        ({"trace": "f" * 32}, "ffff"),
    ],
)
def test_what_makes_no_case_is_refused_and_nothing_is_written(
    bench: Bench, said: dict[str, Any], refusal: str
) -> None:
    bring_compared(bench)
    with pytest.raises(LabError, match=refusal):
        bench.promote(**said)
    assert list((bench.place / "scenarios").iterdir()) == []


def test_a_scenario_that_is_there_stays_as_it_is(bench: Bench) -> None:
    bring_compared(bench)
    bench.made.mkdir()
    with pytest.raises(UsageError, match="choose another --name"):
        bench.promote()
    assert list(bench.made.iterdir()) == []


def test_answers_come_from_a_file_too(bench: Bench) -> None:
    """What is said beside it counts more; every field that it may not have is told at once."""
    bring_compared(bench)
    answers = bench.place / "answers.yaml"
    answers.write_text(
        f"name: other\ntrace: '{trace_id(80)}'\nspan: '{span_id(80, CULPRIT)}'\n"
        "mechanism: latency\ntitle: A page takes its time\nbriefing: Pages are late.\n"
        "level: 5\nhints: [Go down., It is the store.]\n"
    )
    bench.lab("promote", "--from", str(answers), "--name", "slow-basket")
    scenario = read_recording(bench.made / RECORDING).scenario
    assert (scenario.difficulty, scenario.hints) == (5, ("Go down.", "It is the store."))
    assert scenario.is_recorded
    answers.write_text("titel: x\nhints: one\nlevel: hard\n")
    with pytest.raises(UsageError, match=r"did you mean title.*hints to be a list.*level to be"):
        bench.lab("promote", "--from", str(answers))


def test_healthy_traces_are_of_before_and_near(bench: Bench) -> None:
    """A stretch after the incident is no time before it."""
    bench.bring()
    with pytest.raises(UsageError, match="hours before the accused one"):
        bench.promote("--before", "100s..110s")
    bench.promote("--before", "0s..60s")
    windows = read_recording(bench.made / RECORDING).evidence.windows
    assert windows[Window.REFERENCE].end_s <= windows[Window.CRIME].start_s
