"""The desk over case folders on a disk: damaged, unfinished, gone, and made anew."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import shutil
import weakref
from pathlib import Path

import httpx
import pytest

from lab.adapters.cases.archive import FolderArchive
from lab.adapters.clock import SystemClock
from lab.desk.app import create_app
from lab.desk.desk import MOST_CASES_IN_MEMORY, Desk
from lab.domain.trace import Trace
from lab.settings import Settings
from tests.support.desk_over_memory import HERE
from tests.support.sample_case import START_S, sample_case

ROOM = "/cases/db-timeout-1"


class DeskOverFolders:
    """A desk that reads a state folder, and one browser."""

    def __init__(self, place: Path) -> None:
        self.cases = place / "cases"
        self.archive = FolderArchive(self.cases)
        self.start()

    def start(self) -> None:
        """Be a new process over the same folder."""
        settings = Settings(state_dir=self.cases.parent)
        app = create_app(Desk(self.archive, SystemClock(), settings))
        self._browser = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HERE)

    def get(self, path: str) -> httpx.Response:
        return asyncio.run(self._browser.get(path))

    def post(self, path: str, body: object = None) -> httpx.Response:
        return asyncio.run(self._browser.post(path, json=body))


@pytest.fixture
def desk(tmp_path: Path) -> DeskOverFolders:
    found = DeskOverFolders(tmp_path)
    found.archive.seal(sample_case())
    return found


@pytest.mark.parametrize("file", ["traces.jsonl", "requests.jsonl", "proof.json"])
def test_a_tampered_case_is_not_shown(desk: DeskOverFolders, file: str) -> None:
    """409, which file it is, and what to do; the board still has all others."""
    desk.archive.seal(sample_case("db-timeout-2"))
    with (desk.cases / "db-timeout-1" / file).open("a") as changed:
        changed.write("{}\n")
    for path in ("", "/traces", "/accuse", "/debrief"):
        answer = desk.get(ROOM + path)
        assert answer.status_code == 409
        assert file in answer.text
    assert desk.get("/cases/db-timeout-2").status_code == 200
    assert desk.get("/").status_code == 200


def test_a_case_that_is_being_written_is_said_to_be(desk: DeskOverFolders) -> None:
    """503, and when to come back."""
    desk.archive.working_folder("db-timeout-2")
    answer = desk.get("/cases/db-timeout-2")
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert "still being written" in answer.text


@pytest.mark.parametrize("path", ["/cases/db-timeout-9", "/cases/DROP%20TABLE", "/cases/%00-1"])
def test_a_case_nobody_made_is_not_there(desk: DeskOverFolders, path: str) -> None:
    """404, and near names where there are any."""
    assert desk.get(path).status_code == 404


def test_a_case_that_was_read_and_is_gone_is_gone(desk: DeskOverFolders) -> None:
    """What the desk remembers does not outlive the folder."""
    assert desk.get(ROOM).status_code == 200
    shutil.rmtree(desk.cases / "db-timeout-1")
    assert desk.get(ROOM).status_code == 404


def test_a_case_made_anew_under_the_same_id_is_the_new_one(desk: DeskOverFolders) -> None:
    """After `lab clean` numbers begin again."""
    assert "11 requests of the incident" in desk.get(ROOM).text
    shutil.rmtree(desk.cases / "db-timeout-1")
    evidence = dataclasses.replace(sample_case().evidence, requests=())
    desk.archive.seal(dataclasses.replace(sample_case(), evidence=evidence))
    assert "11 requests of the incident" not in desk.get(ROOM).text


def test_a_desk_started_anew_remembers_what_was_done(desk: DeskOverFolders) -> None:
    """The ledger is on disk: hints, accusations and the delay they bring."""
    api = "/api/v1/cases/db-timeout-1"
    wrong = {"mechanism": "timeout", "nobody": True}
    desk.post(f"{api}/hints/2")
    desk.post(f"{api}/accusations", wrong)
    desk.post(f"{api}/accusations", wrong)
    desk.start()
    state = desk.get(f"{api}/ledger").json()
    assert (state["hints_read"], state["accusations"]) == ([2], 2)
    assert state["wait_s"] > 0
    assert desk.post(f"{api}/accusations", wrong).status_code == 429


def test_what_a_learner_did_is_no_part_of_the_evidence(desk: DeskOverFolders) -> None:
    """A ledger, however long or torn, leaves the case whole."""
    desk.post("/api/v1/cases/db-timeout-1/give-up")
    with (desk.cases / "db-timeout-1" / "accusations.jsonl").open("a") as torn:
        torn.write('{"verdict": "solved')
    desk.start()
    assert desk.get(ROOM).status_code == 200
    assert desk.get("/api/v1/cases/db-timeout-1/ledger").json()["points"] == 0


def test_the_support_code_finds_its_case(desk: DeskOverFolders) -> None:
    """Whole or by how it begins, in the newest case that has it."""
    later = sample_case("db-timeout-2", opened_unix_s=START_S + 99)
    desk.archive.seal(later)
    for code in ("01bb" * 8, "01bb01bb"):
        answer = desk.get(f"/accuse?suspect={code}")
        assert answer.headers["location"].startswith("/cases/db-timeout-2/")


def test_no_more_cases_are_held_than_it_says(desk: DeskOverFolders) -> None:
    """Nor what was drawn of one that is gone."""
    for number in range(2, 6):
        desk.archive.seal(sample_case(f"db-timeout-{number}"))
    over = Desk(desk.archive, SystemClock(), Settings(state_dir=desk.cases.parent))

    def read(number: int) -> weakref.ref[Trace]:
        case = over.case_file(f"db-timeout-{number}")
        trace = next(iter(case.evidence.traces.values()))
        if number <= 3:
            over.waterfall(case, trace)
        return weakref.ref(trace)

    held = [read(number) for number in range(1, 6)]
    gc.collect()
    assert [each() is not None for each in held[-MOST_CASES_IN_MEMORY:]] == [True, True]
    assert [each() for each in held[:-MOST_CASES_IN_MEMORY]] == [None, None, None]
