"""A case whose every text is an attack, through every command and page that reads it.

What a terminal would obey, what a browser would run and what a Markdown viewer would follow
is shown as text, wherever it stands: the fields are found by trying each, not by a list.
"""

from __future__ import annotations

import json
import re
import shutil
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final

import pytest
from typer.testing import CliRunner, Result

from lab.adapters.cases.archive import FolderArchive
from lab.adapters.cases.case_folder import read_case_file, write_case, write_checksums
from lab.cli import app
from lab.commands import failures
from lab.commands.table import PANELS
from lab.domain.case import Case
from lab.domain.evidence import Sample
from lab.domain.load import Window
from lab.domain.trace import AttributeValue, Event, Span, Trace
from lab.errors import CaseError, LabError
from lab.ports.case_archive import CaseArchive
from tests.support.desk_over_memory import DeskUnderTest, addresses_about
from tests.support.obedient import obeyed
from tests.support.sample_case import sample_case
from tests.unit.commands.test_cases_recorded import EARNED, READING

CASE_ID: Final = "db-timeout-1"
HURT: Final = sample_case().evidence.samples[Sample.AFFECTED][1]
"""The trace that is looked at."""

ATTACK: Final = (
    "\x1b]0;pwned\x07\x1b[2J\x9b31m\u202e\r"
    # OSC 8 makes a link of what follows, OSC 52 writes into the clipboard.
    "\x1b]8;;http://evil.example/\x1b\\here\x1b]8;;\x1b\\\x1b]52;c;cHduZWQ=\x07"
    "<script>alert(1)</script><img src=x onerror=alert(1)>[x](javascript:alert(1))"
    r"![pixel](http://evil.example/p.png)[x\](javascript:alert(2))"
    "\n\n[x]: javascript:alert(3)\n"
)
SHOWN: Final = "pwned" + "".join(each for each in ATTACK if each.isprintable())
"""What of it a scenario's own texts may hold; control characters are refused in those."""

MEMBERS: Final = (
    *("manifest.json", "requests.jsonl", "traces.jsonl", "logs.jsonl", "proof.json"),
    *("journal.jsonl", "records.jsonl"),
)
RECORDS: Final = {
    "name": "calls", "source": "logs",
    "records": [{"time_unix_s": 0.0, "trace_id": None, "attributes": {"a": "b"}}],
}  # fmt: skip
JOURNAL: Final = {
    "time_unix_s": 1e9, "monotonic_s": 1e9, "step": "crime", "event": "x",
    "data": {"a": "b", "c": {"d": ["e"]}},
}  # fmt: skip

READS: Final = (
    *READING,
    *("trace {trace} {trace} --case {case}", "trace {trace} --case {case} --all --attributes"),
    *("logs {case} --text x", "logs {case} --service nosuch", "signals {case} --route nosuch"),
    *("traces {case} --group-by nosuch", "traces {case} --group-by route"),
    *("twin {trace} --case {case} --tree", "twin {trace} --case {case} --json"),
    *("accuse {case} {trace} {span} --mechanism timeout", "hint 1 --case {case}"),
    *("export {case} --to {state}/out.case.zip --force", "import {state}/out.case.zip --again"),
    *("replay {case} --to http://127.0.0.1:9", "lint --cases {state}/cases"),
    *("debrief {case} --give-up", *EARNED, "exhibit --case {case}"),
    *("exhibit warm-query --case {case}", "exhibit --case {case} --json"),
    *("detect {case} --anyway", "detect {case} --anyway --json"),
)
"""Every command that reads a case."""

FIRST: Final = {
    **dict.fromkeys(EARNED, "debrief {case} --give-up"),
    "import {state}/out.case.zip --again": "export {case} --to {state}/out.case.zip",
}
"""What has to be said before one of them has something to say."""

NOT_READING: Final = {
    **dict.fromkeys(
        ("up", "status", "doctor", "grafana", "load", "heal", "stop-harm", "allow-harm"),
        "about the stack and this machine",
    ),
    **dict.fromkeys(("down", "clean", "tools"), "about the stack and this machine"),
    **dict.fromkeys(
        ("run", "verify", "instrumentation", "record"), "makes cases of its own scenarios"
    ),
    **dict.fromkeys(("new", "schema"), "about scenario files"),
    "practice": "opens a case of this checkout",
    "bench": "makes and grades tasks of the cases of this checkout",
    "mcp": "answers programs, in JSON, in which nothing is an order to a terminal",
    "promote": "writes a scenario and a recording, each read by its own command",
    "reference": "says which traces of an import were healthy, and shows none of them",
    "open": "imports as `import` does, and leads to the desk, whose every address is asked below",
    "desk": "serves the desk, whose every address is asked below",
}
"""Command → why it shows nothing of a case."""

LOG: Final = {
    "time_unix_s": 0.0, "service": "auth", "severity": "ERROR", "body": "x",
    "trace_id": None, "span_id": None, "attributes": {"a": "b"},
}  # fmt: skip


def texts(document: Any) -> Iterator[tuple[Any, Any]]:
    """Each place in a JSON document that holds a text: its container and its key."""
    pairs = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in list(pairs):
        if isinstance(value, str):
            yield document, key
        elif isinstance(value, dict | list):
            yield from texts(value)


FREE: Final = frozenset({"attributes", "data", "versions", "plan"})
"""Maps whose names are whatever somebody chose."""


def names(document: Any, *, free: bool = False) -> Iterator[tuple[dict[str, Any], str]]:
    """Each such name in a JSON document and the map it is in, the innermost first."""
    pairs = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in list(pairs):
        if isinstance(value, dict | list):
            yield from names(value, free=free or key in FREE)
        if free and isinstance(document, dict):
            yield document, str(key)


def reads(folder: Path) -> bool:
    """Whether the lab takes it for a whole case."""
    write_checksums(folder)
    try:
        return isinstance(read_case_file(folder), Case)
    except CaseError:
        return False


def poison(folder: Path) -> int:
    """Put the attack into every text and name of the case that may hold one; how many did."""
    held = 0
    for member in MEMBERS:
        path = folder / member
        lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
        # A few lines of a kind say what all may hold.
        for number in range(min(len(lines), 3)):
            document = json.loads(lines[number])

            def is_taken(
                path: Path = path,
                document: Any = document,
                before: tuple[str, ...] = tuple(lines[:number]),
                behind: tuple[str, ...] = tuple(lines[number + 1 :]),
            ) -> bool:
                path.write_text("\n".join([*before, json.dumps(document), *behind]) + "\n")
                return reads(folder)

            held += _poison(document, is_taken)
            is_taken()
            lines[number] = json.dumps(document)
    for name in ("briefing.md", "debrief.md"):
        path = folder / "scenario" / name
        path.write_text(path.read_text() + f"\nRead on: {SHOWN}\n")
        assert reads(folder), name
    return held


def _poison(document: Any, is_taken: Callable[[], bool]) -> int:
    held = 0
    for holder, key in texts(document):
        before = holder[key]
        if isinstance(holder, list) and key > 0:
            continue  # One says what all may hold, and a sample without traces shows nothing.
        holder[key] = before + ATTACK
        if is_taken():
            held += 1
        else:
            holder[key] = before
    for owner, name in names(document):
        owner[name + ATTACK] = owner.pop(name)
        if is_taken():
            held += 1
        else:
            owner[name] = owner.pop(name + ATTACK)
    return held


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder whose only case is an attack."""
    state = tmp_path_factory.mktemp("hostile")
    case = sample_case()
    folder = FolderArchive(state / "cases").seal(case)
    crime_s = case.evidence.windows[Window.CRIME].start_s + 1
    lines = [
        json.dumps(LOG | {"trace_id": trace, "time_unix_s": crime_s}) for trace in (HURT, None)
    ]
    write_case(folder, replace(case, evidence=replace(case.evidence, logs=tuple(lines))))
    for member, line in (("records.jsonl", RECORDS), ("journal.jsonl", JOURNAL)):
        path = folder / member
        kept = path.read_text() if path.exists() else ""
        path.write_text(json.dumps(line) + "\n" + kept)
    for member in ("traces.jsonl", "requests.jsonl"):
        # What is looked at below comes first, for only the first lines are poisoned.
        path = folder / member
        others = path.read_text().splitlines()
        path.write_text("\n".join(sorted(others, key=lambda line: HURT not in line)) + "\n")
    assert poison(folder) > 60
    return state


def subject(archive: CaseArchive) -> Case:
    """The case, with an id and a support code that lead to what is there."""
    return replace(archive.load(CASE_ID), case_id=CASE_ID, support_code=HURT)


def dangerous(text: str) -> list[str]:
    """Characters that move a cursor, ring a bell or turn the letters round."""
    return [
        repr(each)
        for each in text
        if each not in "\n\t" and unicodedata.category(each) in {"Cc", "Cf", "Cs"}
    ]


def test_every_command_is_tried_or_shows_nothing_of_a_case() -> None:
    """A new one is found here."""
    known = {entry.name for entries in PANELS.values() for entry in entries}
    tried = {line.split()[0] for line in READS}
    assert tried | NOT_READING.keys() == known
    assert not tried & NOT_READING.keys()


@pytest.fixture
def state(hostile: Path, tmp_path: Path) -> Path:
    """The same for one test alone: what another one found out in the case is not known in it."""
    return Path(shutil.copytree(hostile, tmp_path / "state"))


@pytest.mark.parametrize("line", READS)
def test_no_command_lets_an_attack_through(
    line: str, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor does an error that quotes it."""
    case = subject(FolderArchive(state / "cases"))
    trace = case.evidence.traces[HURT]

    def done_by(line: str) -> Result:
        words = line.format(
            case=CASE_ID, trace=trace.trace_id, span=trace.spans[0].span_id, state=state
        )
        return CliRunner().invoke(app, words.split(), env={"LAB_STATE_DIR": str(state)})

    if line in FIRST:
        assert done_by(FIRST[line]).exit_code == 0
    done = done_by(line)
    assert done.exception is None or isinstance(done.exception, SystemExit | LabError), done
    said = done.output
    if isinstance(done.exception, LabError):
        failures.report(done.exception)
        said += re.sub(r"\x1b\[\d*m", "", capsys.readouterr().err)
    assert dangerous(said) == []
    if "--markdown" in line:
        assert "pwned" in said
        assert obeyed(said) == []


def test_the_debrief_and_the_briefing_do_hold_it(state: Path) -> None:
    """So the test above has something to look for."""
    env = {"LAB_STATE_DIR": str(state)}
    for words in (["briefing", "db-timeout-1"], ["debrief", "db-timeout-1", "--give-up"]):
        assert "pwned" in CliRunner().invoke(app, words, env=env).output


def test_an_error_shows_what_it_quotes(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever raised it."""
    failures.report(CaseError(f"expected a case, found {ATTACK}"))
    said = capsys.readouterr().err
    assert "pwned" in said
    assert dangerous(re.sub(r"\x1b\[\d*m", "", said)) == []


class Obedient(HTMLParser):
    """Notes what a browser would fetch, run or follow beyond this desk's own pages."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.obeyed: list[str] = []
        self._in_script = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element that loads, an attribute that runs, an address that does either."""
        given = {name: (value or "").strip().lower() for name, value in attrs}
        self._in_script = tag == "script"
        loads = tag in {"img", "iframe", "object", "embed", "base"}
        if loads or (tag == "form" and not given.get("action", "/").startswith("/")):
            self.obeyed.append(f"<{tag} {given}>")
        for name, value in given.items():
            leads = name in {"src", "href", "action", "formaction", "xlink:href", "srcdoc"}
            # What is only followed by a click may lead to the web.
            fine = ("/", "#", "?") + (("http://", "https://") if tag == "a" else ())
            if name.startswith("on") or (leads and value and not value.startswith(fine)):
                self.obeyed.append(f"<{tag} {name}={value!r}>")

    def handle_data(self, data: str) -> None:
        """A script's own text; the desk has none, and its policy allows none."""
        if self._in_script and data.strip():
            self.obeyed.append(f"script: {data[:40]!r}")

    def handle_endtag(self, tag: str) -> None:
        """Whatever ends, a script is over."""
        self._in_script = False


@pytest.mark.parametrize("given_up", [False, True], ids=["open", "given up"])
def test_no_address_of_the_desk_lets_an_attack_through(
    state: Path, tmp_path: Path, given_up: bool
) -> None:
    """Every page and every JSON address; what is Markdown is obeyed by no viewer either."""
    archive = FolderArchive(state / "cases")
    case = subject(archive)
    desk = DeskUnderTest(tmp_path, archive=archive)
    if given_up:
        room = f"/cases/{case.case_id}"
        desk.send(f"{room}/debrief", f"{room}/give-up")
    shown: list[str] = []
    hidden: list[str] = []
    for address in ("/", "/accuse", *addresses_about(case)):
        answer = desk.get(address)
        # A case has a reference of its own, so nobody chooses one.
        known = {422} if address.endswith("/reference") else {200, 403, 404}
        assert answer.status_code in known, f"{address}: {answer.text[:300]}"
        kind = answer.headers["content-type"].partition(";")[0]
        shown.append(address) if "pwned" in answer.text else hidden.append(address)
        if kind == "text/html":
            assert Obedient(answer.text).obeyed == [], address
        elif kind == "text/markdown":
            assert obeyed(answer.text) == [], address
            assert dangerous(answer.text) == [], address
        else:
            assert kind == "application/json", address
            assert answer.headers["x-content-type-options"] == "nosniff"
            answer.json()
    assert len(shown) >= 14, f"the attack was there to be seen, but not in {hidden}"


@pytest.fixture(scope="module")
def all_alike(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder whose case has the attack in every hurt trace: what they have in common."""
    state, case = tmp_path_factory.mktemp("alike"), sample_case()
    hurt = case.evidence.samples[Sample.AFFECTED]
    traces = {
        trace_id: Trace(
            trace_id,
            tuple(_attacking(each, n, trace_id in hurt) for n, each in enumerate(trace.spans)),
        )
        for trace_id, trace in case.evidence.traces.items()
    }
    evidence = replace(case.evidence, traces=traces)
    FolderArchive(state / "cases").seal(replace(case, evidence=evidence))
    return state


def _attacking(span: Span, number: int, hurt: bool) -> Span:
    """By its name, as all of its operation, and, where it is hurt, by all else that it says."""
    named = replace(span, name=span.name + ATTACK)
    if not hurt:
        return named
    said: dict[str, AttributeValue] = {f"k{ATTACK}": f"v{ATTACK}", f"n{ATTACK}": number}
    event = Event(f"e{ATTACK}", span.start_ns, {f"a{ATTACK}": ATTACK})
    return replace(named, attributes={**span.attributes, **said}, events=(event,))


@pytest.mark.parametrize(
    "line",
    [
        "contrast",
        f"trace {HURT}",
        f"trace {HURT} {HURT}",
        f"trace {HURT} --all --attributes",
        f"twin {HURT}",
        "traces --group-by nosuch",
    ],
)
def test_what_all_of_them_share_is_shown_and_obeyed_by_nobody(
    line: str, all_alike: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A single trace would be chance, and no lead; so the test above cannot see these."""
    done = CliRunner().invoke(app, line.split(), env={"LAB_STATE_DIR": str(all_alike)})
    said = done.output
    if isinstance(done.exception, LabError):
        failures.report(done.exception)
        said += re.sub(r"\x1b\[\d*m", "", capsys.readouterr().err)
    assert "pwned" in said
    assert dangerous(said) == []


def test_the_page_of_what_they_share_is_obeyed_by_nobody(all_alike: Path, tmp_path: Path) -> None:
    """Nor is its JSON."""
    archive = FolderArchive(all_alike / "cases")
    desk = DeskUnderTest(tmp_path, archive=archive)
    page = desk.get(f"/cases/{CASE_ID}/contrast")
    assert "pwned" in page.text
    assert Obedient(page.text).obeyed == []
    assert desk.get(f"/api/v1/cases/{CASE_ID}/contrast").json()["amounts"]


@pytest.mark.parametrize(
    "page",
    [
        "<script>alert(1)</script>",
        "<img src=x>",
        "<p onclick=alert(1)>",
        '<a href=" javascript:alert(1)">',
        '<iframe src="/x">',
        '<form action="http://evil.example">',
        '<use href="data:x">',
    ],
)
def test_the_obedient_browser_notices(page: str) -> None:
    """So an empty list says something."""
    assert Obedient(page).obeyed
