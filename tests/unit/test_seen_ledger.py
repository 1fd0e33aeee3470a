"""The ledger of what occurs in the suite: what counts, and that it is red where one is missing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lab.domain.verdict import Judgement, VerdictClass
from lab.settings import CHECKOUT
from tests.support.seen import JUDGED, Level, Seen, Wanted, closed_lists, reasons
from tests.support.seen_plugin import FILE

CONFTEST = """
import pytest
from tests.support.seen import Seen, Wanted
from tests.support.seen_plugin import Watch

LEDGER = Seen({"colour": Wanted(("red", "green"))})

def pytest_configure(config):
    config.pluginmanager.register(Watch(LEDGER), "seen")

@pytest.fixture
def ledger():
    return LEDGER
"""
SETTINGS = "[pytest]\ntestpaths = suite\n"
RED = 'def test_red(ledger):\n    ledger.note("colour", "red")\n'
GREEN = 'def test_green(ledger):\n    ledger.note("colour", "green")\n'
BROKEN = "def test_broken():\n    assert False\n"


def run(folder: Path, suite: str, *options: str) -> subprocess.CompletedProcess[str]:
    """A suite of its own under the plugin, as `make test` calls ours."""
    (folder / "suite").mkdir()
    (folder / "pytest.ini").write_text(SETTINGS)
    (folder / "suite" / "conftest.py").write_text(CONFTEST)
    (folder / "suite" / "test_colours.py").write_text(suite)
    command = [sys.executable, "-m", "pytest", "-q", "--rootdir", str(folder), *options]
    environment = {"PYTHONPATH": str(CHECKOUT), "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_a_suite_in_which_all_occurs_is_green_and_leaves_its_ledger(tmp_path: Path) -> None:
    """A file with each sighting, and not a word on the terminal."""
    done = run(tmp_path, RED + GREEN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "never seen" not in done.stdout
    rows = json.loads((tmp_path / ".pytest_cache" / "v" / FILE).read_text())
    assert [(each["word"], each["level"]) for each in rows] == [("green", "unit"), ("red", "unit")]
    assert rows[1]["where"] == "suite/test_colours.py::test_red"


def test_a_suite_in_which_one_never_occurs_is_red_and_names_it(tmp_path: Path) -> None:
    """Although every test passes."""
    done = run(tmp_path, RED)
    assert done.returncode == 1
    *_, title, missing, ending = done.stdout.splitlines()
    assert "never seen in the whole suite" in title
    assert missing == "colour 'green': never seen"
    assert "1 passed" in ending
    assert "colour 'red'" not in done.stdout


def test_workers_that_share_a_suite_have_one_ledger(tmp_path: Path) -> None:
    """What each has seen counts, and what none has is missing."""
    (tmp_path / "whole").mkdir()
    (tmp_path / "part").mkdir()
    member = 'enum.StrEnum("Colour", {"GREEN": "green"}).GREEN'
    done = run(
        tmp_path / "whole", "import enum\n" + RED + GREEN.replace('"green"', member), "-n", "2"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Error" not in done.stdout + done.stderr
    rows = json.loads((tmp_path / "whole" / ".pytest_cache" / "v" / FILE).read_text())
    assert [each["where"].partition("::")[2] for each in rows] == ["test_green", "test_red"]
    missing = run(tmp_path / "part", RED + RED.replace("test_red", "test_again"), "-n", "2")
    assert missing.returncode == 1, missing.stdout + missing.stderr
    assert missing.stdout.count("colour 'green': never seen") == 1


@pytest.mark.parametrize(
    "options", [("suite/test_colours.py",), ("-k", "red"), ("--deselect", "nothing"), ("--lf",)]
)
def test_a_part_of_the_suite_is_asked_for_nothing(tmp_path: Path, options: tuple[str, ...]) -> None:
    """Who runs one test wants to know of that one."""
    done = run(tmp_path, RED, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "never seen" not in done.stdout


def test_a_suite_that_is_red_anyway_has_a_better_reason(tmp_path: Path) -> None:
    """What a broken test would have shown may well be what is missing."""
    done = run(tmp_path, RED + BROKEN)
    assert done.returncode == 1
    assert "never seen" not in done.stdout


def test_a_sighting_must_be_as_real_as_its_list_wants() -> None:
    """The most real one counts, and a list that the code no longer has is told as well."""
    ledger = Seen(
        {"ending": Wanted(("over",), Level.LIVE), "gone": Wanted(())}, where="tests/unit/a.py"
    )
    ledger.note("ending", "over")
    assert ledger.missing() == (
        "ending 'over': expected live, seen unit in tests/unit/a.py",
        "gone: expected a closed list in the code, found none",
    )
    ledger.where = "tests/e2e/b.py"
    ledger.note("ending", "over")
    ledger.where = "tests/unit/c.py"
    ledger.note("ending", "over")
    assert ledger.missing() == ("gone: expected a closed list in the code, found none",)
    assert [each["where"] for each in ledger.rows()] == ["tests/e2e/b.py"]


def test_what_a_test_makes_by_hand_is_not_seen() -> None:
    """Only the judge's own judgements count."""
    from tests.support.seen import SEEN

    before = SEEN.rows()
    Judgement(VerdictClass.SOLVED, "by hand")
    assert SEEN.rows() == before


TWO_JUDGEMENTS = """
from tests.support.seen import Seen
from tests.support.seen_plugin import watch

watch(ledger := Seen())

from lab.domain.accusation import Accusation
from lab.investigation.solving.judge import judge
from tests.support.evidence import DB_TIMEOUT, db_timeout

evidence = db_timeout().evidence()
judge(DB_TIMEOUT, evidence, Accusation((), (), nobody=True))
judge(DB_TIMEOUT, evidence, Accusation((("no", "such"),), (DB_TIMEOUT.truth.mechanism,)))
print(*(row["word"] for row in ledger.rows()))
"""


def test_each_judgement_of_the_judge_is_seen() -> None:
    """The second of a process as well as its first, for which the class was still incomplete."""
    done = subprocess.run(
        [sys.executable, "-c", TWO_JUDGEMENTS],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["somebody", "unknown-trace"], done.stderr


def test_the_reasons_of_a_removal_are_read_from_the_code() -> None:
    """A new one is wanted as soon as it is written, and nothing else is one."""
    assert reasons(
        "class Leases:\n"
        "    def end(self, error):\n"
        "        self._begin_removal('released')\n"
        "        self._undo(f'could not be applied: {error}', sweep=True)\n"
        "        self._begin_removal('released', sweep=True)\n"
        "        self._begin_removal(why)\n"
        "        self._journal.record('removing')\n"
    ) == ("released", "could not be applied")


def test_every_list_of_the_code_has_words() -> None:
    """An empty one would be satisfied by nothing at all."""
    lists = closed_lists()
    assert JUDGED in lists
    assert [kind for kind, wanted in lists.items() if len(wanted.words) < 3] == []


def test_a_diary_of_a_real_warden_tells_means_and_reason(tmp_path: Path) -> None:
    """Of what was removed, and of nothing that was only begun."""
    diary = tmp_path / "warden.jsonl"
    removed = {"event": "removed", "why": "could not be applied: no answer", "method": "reset"}
    lines = ({"event": "removing", "why": "expired"}, removed)
    diary.write_text("".join(json.dumps(line) + "\n" for line in lines))
    ledger = Seen({}, where="tests/adversity/a.py")
    ledger.harvest_diary(tmp_path / "no such file")
    ledger.harvest_diary(diary)
    assert [(each["word"], each["level"]) for each in ledger.rows()] == [
        ("reset", "live"),
        ("could not be applied", "live"),
    ]
