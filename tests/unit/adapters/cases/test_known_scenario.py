"""A case's scenario is noted once it was read, and the note is the scenario or nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lab import scenario_file
from lab.adapters.cases import known_scenario
from lab.adapters.cases.known_scenario import KNOWN, as_json, from_json, read_joins, read_scenario
from lab.adapters.cases.own_note import write_note
from lab.domain.scenario import Scenario
from lab.domain.variation import Plan
from lab.errors import CaseError
from lab.scenario_file import variants
from lab.settings import CHECKOUT

SCENARIOS = scenario_file.load_all(CHECKOUT / "scenarios")
VARIED = "silent-bank"


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    """A case's folder with the files of a scenario that can vary."""
    return copied(VARIED, tmp_path)


def copied(name: str, place: Path) -> Path:
    """The files of a scenario, where a case has them."""
    (place / "scenario").mkdir()
    for file in scenario_file.FILES:
        shutil.copy(CHECKOUT / "scenarios" / name / file, place / "scenario")
    return place / "scenario"


def read(sealed: Path, plan: Plan = SCENARIOS[VARIED].plan) -> Scenario:
    """It, by the note beside it or by its files."""
    return read_scenario(sealed, sealed.parent / KNOWN, VARIED, plan)


@pytest.fixture
def noted(sealed: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same with its note; the number of times that a scenario is parsed is in `PARSED`."""
    read(sealed)
    PARSED.clear()
    parse = scenario_file.parse

    def watched(texts: Mapping[str, str], name: str, plan: Plan | None = None) -> Scenario:
        PARSED.append(name)
        return parse(texts, name, plan)

    monkeypatch.setattr(scenario_file, "parse", watched)
    return sealed


PARSED: list[str] = []


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_comes_back_from_its_note(name: str) -> None:
    """In every variant, value by value and kind by kind: 1 is no 1.0, and no word a text."""
    for each in variants(SCENARIOS[name]):
        told = json.loads(json.dumps(as_json(each)))
        found = from_json(told)
        assert found == each
        assert repr(found) == repr(each)


def test_it_is_read_once(noted: Path) -> None:
    """Then the note is enough, for the same plan."""
    assert read(noted) == SCENARIOS[VARIED]
    assert PARSED == []


def test_its_joins_are_read_alone(tmp_path: Path) -> None:
    """By whoever only looks: neither the language nor the rest of the scenario is needed."""
    name = "locked-drawer"
    truth = SCENARIOS[name].truth
    assert truth.joins
    asked = copied(name, tmp_path), tmp_path / KNOWN, name, SCENARIOS[name].plan
    assert read_joins(*asked) == truth.joins
    head, joins, _ = (tmp_path / KNOWN).read_text().split("\n")
    made_of = {key: value for key, value in json.loads(head).items() if key != "sha256"}
    write_note(tmp_path / KNOWN, joins, made_of)
    assert read_joins(*asked) == truth.joins
    assert (tmp_path / KNOWN).read_text().endswith(joins)


def test_another_plan_is_another_scenario(noted: Path) -> None:
    """Each time, for one note alone is kept."""
    *_, last = variants(SCENARIOS[VARIED])
    assert read(noted, last.plan) == last
    assert read(noted) == SCENARIOS[VARIED]
    assert PARSED == [VARIED, VARIED]


@pytest.mark.parametrize("name", scenario_file.FILES)
def test_whatever_file_changes_is_read_anew(noted: Path, name: str) -> None:
    """Though its note is there."""
    path = noted / name
    path.write_text(path.read_text() + "\n")
    assert read(noted).source[name].endswith("\n\n")
    assert PARSED == [VARIED]


def test_with_another_language_it_is_read_anew(
    noted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A note of yesterday's lab says nothing today."""
    monkeypatch.setattr(known_scenario, "code_of_notes", lambda: "another")
    assert read(noted) == SCENARIOS[VARIED]
    assert PARSED == [VARIED]


@pytest.mark.parametrize(
    "told",
    [
        *({}, [], 5, "scenario", None, ["tuple", 1], ["map", "one"], [None], [["tuple"]]),
        *(["scenario.Scenario"], ["trace.Kind", "internal"], ["trace.Kind", "nosuch"]),
        *(["os.system", "true"], ["..errors.LabError", "x"], ["trace.dataclass"], ["trace."]),
        *(["tuple", {"a": 1}], ["scenario.annotations"], ["nosuch.Nosuch"]),
    ],
    ids=str,
)
def test_what_is_no_scenario_is_not_believed(noted: Path, told: Any) -> None:
    """Whoever wrote it, with a right head: the files say what the case is."""
    note = noted.parent / KNOWN
    head = json.loads(note.read_text().partition("\n")[0])
    del head["sha256"]
    for text in (json.dumps(told), f"{json.dumps(told)}\n{json.dumps(told)}"):
        write_note(note, text, head)
        assert read(noted) == SCENARIOS[VARIED]
        write_note(note, text, head)
        assert read_joins(noted, note, VARIED, SCENARIOS[VARIED].plan) == ()
    assert PARSED == [VARIED] * 4


def test_where_nothing_can_be_written_it_is_read_each_time(noted: Path) -> None:
    """And nobody hears of it."""
    (noted.parent / KNOWN).unlink()
    (noted.parent / KNOWN / "in-the-way").mkdir(parents=True)
    assert read(noted) == read(noted) == SCENARIOS[VARIED]
    assert PARSED == [VARIED, VARIED]


def test_what_this_lab_does_not_understand_is_told_and_not_noted(sealed: Path) -> None:
    """With each problem's file and line."""
    path = sealed / "scenario.yaml"
    path.write_text("nosuch: 1\n" + path.read_text())
    with pytest.raises(CaseError, match=r"scenario\.yaml:1 .*nosuch"):
        read(sealed)
    assert not (sealed.parent / KNOWN).exists()


def test_only_values_of_the_domain_are_told() -> None:
    """Nothing else would come back."""
    with pytest.raises(TypeError, match="expected a value of the domain"):
        as_json(("fine", Path("elsewhere")))
