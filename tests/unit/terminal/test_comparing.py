"""`lab twin` and `lab map`: the same numbers for a person and for a program."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from lab.adapters.cases.archive import FolderArchive
from lab.cli import app
from lab.commands import compare as commands
from lab.domain.evidence import Sample
from lab.investigation.reading.healthy_twin import Comparison, compare, twin_rows
from lab.investigation.reading.service_map import service_map
from lab.terminal.comparing import beside_table, map_document, map_table, twin_table
from lab.terminal.trace_tree import trace_tree
from tests.support.evidence import db_timeout
from tests.support.recorded_cases import recorded
from tests.support.sample_case import sample_case

FATAL = "01bb" * 8
Run = Callable[..., str]


def printed(renderable: RenderableType, width: int = 100) -> str:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(renderable)
    return out.getvalue()


def died() -> Comparison:
    evidence = db_timeout().evidence()
    found = compare(evidence, evidence.whole_traces(Sample.AFFECTED)[0])
    assert found is not None
    return found


def test_the_greatest_change_comes_first_and_both_traces_are_named() -> None:
    """With what each side lacks, in words."""
    comparison = died()
    lines = printed(twin_table(comparison, in_tree_order=False, limit=40)).splitlines()
    assert comparison.here.trace_id in lines[0]
    assert comparison.healthy.trace_id in lines[1]
    first = lines[4]
    assert first.startswith("✖ error auth SELECT (users_db)")
    assert "+999ms" in first
    assert any("only in the healthy one" in line for line in lines)


def test_in_the_order_of_the_tree_rows_are_indented() -> None:
    """And what does not fit is counted."""
    text = printed(twin_table(died(), in_tree_order=True, limit=4))
    assert "\n    ✖ error gateway GET (auth)" in text
    assert "\n  ⇄ on the wire to gateway and back" in text
    assert "4 of 19 rows" in text


@pytest.mark.parametrize("case", ["db-timeout", "one-by-one", "green-corpse"])
def test_a_span_is_called_the_same_in_a_tree_a_twin_and_beside_others(case: str) -> None:
    """Service, what it does, and whom it calls: a reader looks for the one in the other."""
    evidence = recorded(case).evidence
    here = evidence.whole_traces(Sample.AFFECTED)[0]
    comparison = compare(evidence, here)
    assert comparison is not None
    tree = printed(trace_tree(here, evidence, unfolded=True), width=300)
    spans = [row for row in comparison.rows if row.here and not row.is_wire]
    assert len(spans) == len(here.spans)
    for shown in (
        twin_table(
            dataclasses.replace(comparison, rows=tuple(spans)), in_tree_order=True, limit=99
        ),
        beside_table([here], evidence),
    ):
        rows = re.findall(
            r"^ *(?:✖ error )?(\S+ .+? \(\S+\))(?: ×\d+)?  ", printed(shown, 300), re.MULTILINE
        )
        assert len(rows) > 3
        assert [each for each in rows if each not in tree] == []


def test_a_program_gets_every_pair() -> None:
    """Ids are null where a side has no such span."""
    comparison = died()
    rows = twin_rows(comparison, in_tree_order=True)
    assert len(rows) == len(comparison.rows)
    assert {row["span_id"] for row in rows if row["span_id"]} == set(comparison.here.by_id)
    assert rows[0]["depth"] == 0


def test_the_map_says_before_and_incident_of_every_arrow() -> None:
    """A call that is made no more says so."""
    found = service_map(db_timeout().evidence())
    text = printed(map_table(found))
    assert "auth → users_db" in text
    assert "0% → 100%" in text
    assert "1.00 → none" in text
    assert json.loads(json.dumps(map_document(found)))["edges"]


def test_a_map_whose_median_may_be_one_traces_says_where_to_look() -> None:
    """And no other map does."""
    told = "`lab signals` has the times of all requests"
    found = service_map(db_timeout().evidence())
    assert told not in printed(map_table(found), 200)
    lopsided = dataclasses.replace(found.crime, requests=40, traces=9, stands_for=40, heaviest=20.0)
    found = dataclasses.replace(found, crime=lopsided)
    assert told in printed(map_table(found), 200)
    assert "one alone for 20" in printed(map_table(found), 200)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in a checkout with the sample case, and gives what it printed."""
    monkeypatch.setenv("LAB_STATE_DIR", str(tmp_path))
    FolderArchive(tmp_path / "cases").seal(sample_case())

    def run(*words: str) -> str:
        out = io.StringIO()
        monkeypatch.setattr(commands, "console", Console(file=out, width=100, color_system=None))
        with contextlib.redirect_stdout(out):
            app(words, standalone_mode=False)
        return out.getvalue()

    return run


def test_both_commands_read_a_case_folder(run: Run) -> None:
    """By the beginning of an id, and by default the newest case."""
    document = json.loads(run("twin", FATAL[:8], "--json"))
    assert document["trace_id"] == FATAL
    assert document["rows"][0]["name"] == "SELECT"
    assert "healthy" in run("twin", FATAL[:8])
    assert "auth → users_db" in run("map")
    assert json.loads(run("map", "--json"))["reference"]["traces"] == 10
