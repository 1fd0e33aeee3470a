"""The table: accusations of anybody, read strictly, beside the detective and the floors."""

from __future__ import annotations

import json
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest

from lab.bench.agents import DETECTIVE, SCRIPTED, answered, scripted, solvers
from lab.bench.grading import check
from lab.bench.harbor import Graded, exported
from lab.bench.scores import as_markdown, read_results, scored, summary
from lab.bench.tasks import tasks_of
from lab.errors import UsageError
from lab.mcp.task_file import of_document
from tests.support.recorded_cases import recorded


@cache
def tasks() -> list[Graded]:
    return [
        Graded(each.task_id, each.answer, partial(getattr, each, "document"))
        for each in tasks_of(recorded("slow-shelves"), 1)
    ]


def oracles(who: str = "somebody") -> list[dict[str, Any]]:
    return [{**each.answer["oracle"], "who": who, "calls": 4} for each in tasks()]


def test_everybody_is_graded_on_every_task(tmp_path: Path) -> None:
    """Files, lists and folders; who left out a task has said nothing there."""
    (tmp_path / "all.json").write_text(json.dumps(oracles()))
    folder = tmp_path / "one" / "trial"
    folder.mkdir(parents=True)
    (folder / "accusation.json").write_text(json.dumps(oracles("lazy")[0]))
    results = read_results([tmp_path / "all.json", tmp_path / "one"])
    table = scored(tasks(), results, baselines=False)
    best, lazy = summary(table["somebody"]), summary(table["lazy"])
    assert best["solved"] == {"share": 1.0, "of": 4}
    assert best["right_span"] == {"share": 1.0, "of": 2}
    assert best["false_accusation"] == {"share": 0.0, "of": 2}
    assert best["evidence"] == {"share": 1.0, "of": 2}
    assert (best["calls"], best["seconds"]) == (4, None)
    assert lazy["solved"] == {"share": 0.25, "of": 4}
    shown = as_markdown(table)
    assert "| somebody | 1.00 (4) | 1.00 (2) |" in shown
    assert shown.count("\n") == 4


def test_every_file_that_cannot_be_read_is_told_at_once(tmp_path: Path) -> None:
    """Nothing is scored then."""
    (tmp_path / "torn.json").write_text("{")
    (tmp_path / "other.json").write_text('{"format": "other"}')
    with pytest.raises(UsageError) as caught:
        read_results([tmp_path / "torn.json", tmp_path / "other.json", tmp_path / "none.json"])
    for name in ("torn.json", "other.json", "none.json"):
        assert name in str(caught.value)


def test_an_accusation_of_another_export_is_refused() -> None:
    """It would be scored as silence, and nobody would know why."""
    strange = {"who": {"task-of-another": check(oracles()[0])}}
    with pytest.raises(UsageError, match="--tasks says which export"):
        scored(tasks(), strange, baselines=False)


def test_a_folder_without_tasks_is_refused(tmp_path: Path) -> None:
    """With what is expected there."""
    with pytest.raises(UsageError, match="bench export"):
        list(exported(tmp_path))


def test_the_first_rows_are_who_needs_no_model() -> None:
    """`lab detect`, the scripted agent, the floors; then whoever was brought."""
    results = {"somebody": {each["task"]: check(each) for each in oracles()}}
    table = scored(tasks(), results, baselines=True)
    assert list(table) == [*solvers(), "somebody"]
    rows = {who: summary(found) for who, found in table.items()}
    assert rows[DETECTIVE]["right_span"]["share"] == 1.0
    assert rows[DETECTIVE]["false_accusation"]["share"] == 0.0
    assert rows[SCRIPTED]["calls"] > 5
    assert rows[SCRIPTED]["bytes_read"] > 10_000
    floors = [row for who, row in rows.items() if who.startswith("floor")]
    assert len(floors) == 4
    assert {row["right_mechanism"]["share"] for row in floors} == {0.0}


def test_the_scripted_agent_shows_what_it_claims() -> None:
    """Its path and evidence are borne out, whoever it accuses; it says the same each time."""
    for task in tasks():
        dossier = of_document(task.load())
        found = check(answered("it", scripted, dossier))
        again = check(answered("it", scripted, dossier))
        assert [found[key] for key in ("spans", "nobody")] == [
            again[key] for key in ("spans", "nobody")
        ]
        row = summary(scored([task], {"it": {task.task_id: found}}, baselines=False)["it"])
        assert row["evidence"]["share"] in {1.0, None}
