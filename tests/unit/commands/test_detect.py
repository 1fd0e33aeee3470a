"""`lab detect`: silent about an open case, unless asked anyway, and then the ledger says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from lab.adapters.cases.archive import FolderArchive
from lab.adapters.otlp.traces import trace_to_otlp
from lab.cli import app
from lab.detective.answer import Suspect
from lab.domain.ledger import Ledger
from lab.domain.mechanism import Mechanism
from lab.errors import NoReference, NotEarned
from tests.support.recorded_cases import recorded

CASE = "slow-shelves-1"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    lab(tmp_path, "practice", "slow-shelves", "--no-desk")
    return tmp_path


def lab(state: Path, *words: str) -> Result:
    return CliRunner().invoke(app, list(words), env={"LAB_STATE_DIR": str(state), "COLUMNS": "160"})


def assists(state: Path) -> tuple[str, ...]:
    return Ledger.of(FolderArchive(state / "cases").records(CASE)).assists


def detected(state: Path, *words: str) -> Any:
    done = lab(state, "detect", CASE, "--json", *words)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_an_open_case_is_not_told(state: Path) -> None:
    """It would be the answer, or something that looks like it."""
    done = lab(state, "detect", CASE)
    assert isinstance(done.exception, NotEarned)
    assert "--anyway" in str(done.exception)
    assert not done.stdout
    assert assists(state) == ()


def test_asked_anyway_it_is_help_that_was_taken(state: Path) -> None:
    """Once in the ledger, however often."""
    first = detected(state, "--anyway")["suspects"][0]
    detected(state, "--anyway")
    assert (first["service"], first["mechanism"]) == ("catalog", "latency")
    assert assists(state) == ("detective",)


def test_of_a_closed_case_it_speaks_freely(state: Path) -> None:
    """With its numbers, a sentence for each suspect, and how sure it is."""
    lab(state, "debrief", CASE, "--give-up")
    found = detected(state)
    assert found["verdict"] == "accuses"
    assert found["nobody"] < 0.1 < found["margin"]
    assert (
        found["suspects"][0]["examples"][0]["trace_id"] in recorded("slow-shelves").evidence.traces
    )
    assert assists(state) == ()
    said = lab(state, "detect", CASE).stdout
    assert "catalog SELECT (catalog_db), latency, hitting all" in said


def write_otlp(path: Path, sample: str) -> str:
    evidence = recorded("slow-shelves").evidence
    ids = next(ids for each, ids in evidence.samples.items() if each.value == sample)
    spans = [trace_to_otlp(evidence.traces[each]) for each in ids]
    path.write_text(
        json.dumps({"resourceSpans": [r for one in spans for r in one["resourceSpans"]]})
    )
    return str(path)


def test_shares_of_the_change_are_told_alike_everywhere() -> None:
    """None that explains a little is said to explain nothing."""
    told = {0.0: "0%", 0.002: "under 1%", 0.01: "1%", 0.764: "76%", 1.0: "100%"}
    for score, says in told.items():
        assert Suspect((), score, Mechanism.LATENCY, (), ()).explains == says


def test_a_strangers_traces_need_others_from_before(tmp_path: Path) -> None:
    """And are told at once where those are there: nobody has the truth to spoil."""
    calm = write_otlp(tmp_path / "calm.json", "reference")
    bad = write_otlp(tmp_path / "bad.json", "affected")
    assert lab(tmp_path, "import", "--otlp", calm).exit_code == 0
    assert lab(tmp_path, "import", "--otlp", bad).exit_code == 0
    newest, oldest = (each.case_id for each in FolderArchive(tmp_path / "cases").cases())
    refused = lab(tmp_path, "detect", newest)
    assert isinstance(refused.exception, NoReference)
    assert "--reference" in str(refused.exception)
    done = lab(tmp_path, "detect", newest, "--reference", oldest, "--json")
    first = json.loads(done.stdout)["suspects"][0]
    assert (first["service"], first["peer"], first["mechanism"]) == (
        "catalog",
        "catalog_db",
        "latency",
    )
