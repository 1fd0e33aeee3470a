"""The command line: what it says, and what its exit codes mean."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from lab.adapters.cases.archive import FolderArchive
from lab.cli import app
from lab.commands import failures, run
from lab.commands.common import seconds
from lab.commands.table import PANELS
from lab.domain.symptom import Harm
from lab.errors import LabError, UsageError
from lab.settings import CHECKOUT, Settings
from lab.terminal.stack_tables import StartDisplay, status_table
from lab.warden.applying import MAX_TTL_S
from tests.support.sample_case import sample_case, span_id

FREE_OFFSET = "14400"
"""Where no stack of any test listens."""


def lab(state_dir: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {"LAB_STATE_DIR": str(state_dir), "PATH": "/usr/bin:/bin", "COLUMNS": "100"}
    return subprocess.run(
        [sys.executable, "-m", "lab", *words],
        env={**environment, **settings},
        capture_output=True,
        text=True,
        cwd=CHECKOUT,
        check=False,
    )


def test_help_shows_examples_and_every_command(tmp_path: Path) -> None:
    """A newcomer sees what to type."""
    shown = lab(tmp_path, "--help").stdout
    for word in ("Examples", "lab run db-timeout", "accuse", "doctor", "heal", "verify"):
        assert word in shown


def test_a_seed_varies_a_case_and_the_usual_one_does_not() -> None:
    """The same seed in the same way, so that two people can speak of the same case."""
    plain = run.scenario_named(Settings(), "slow-shelves")
    varied = run.scenario_named(Settings(), "slow-shelves", 4)
    assert plain.variant == run.scenario_named(Settings(), "slow-shelves", 1).variant == ""
    assert varied.faults != plain.faults
    assert varied == run.scenario_named(Settings(), "slow-shelves", 4)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("frob",), "No such command"),
        (("run", "db-timeou"), "did you mean db-timeout?"),
        (("run", "db-timeout", "--hold", "10x"), "90s or 10m"),
        (("run", "db-timeout", "--hold", "7h"), "at most 6h"),
        (("verify", "--resume"), "--repeat N"),
        (("verify", "--tier", "cores"), "cores"),
        (("accuse",), "--mechanism WORD"),
        (("accuse", "--mechanism", "gremlins"), "gremlins"),
        (("traces", "--limit", "x"), "--limit"),
        (("traces", "--background", "--slowest"), "no filter beside --background"),
        (("cases", "--frob"), "--frob"),
    ],
)
def test_a_wrong_command_line_exits_with_64_and_says_why(
    tmp_path: Path, words: tuple[str, ...], says: str
) -> None:
    """What cannot mean anything changes nothing and names the way out."""
    done = lab(tmp_path, *words)
    assert done.returncode == 64, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["traces", "map", "proof", "briefing", "debrief", "journal"])
def test_without_a_case_the_way_to_one_is_shown(tmp_path: Path, command: str) -> None:
    """Reading commands need a case folder, and say how to get one."""
    done = lab(tmp_path, command)
    assert done.returncode == 64
    assert "lab run" in done.stderr


def test_no_cases_are_an_empty_list_for_programs(tmp_path: Path) -> None:
    """`--json` answers with JSON, whatever there is."""
    assert json.loads(lab(tmp_path, "cases", "--json").stdout) == []


def test_nothing_to_verify_is_no_proof(tmp_path: Path) -> None:
    """A folder without scenarios is refused, before anything is started."""
    done = lab(tmp_path, "verify", LAB_SCENARIOS_DIR=str(tmp_path))
    assert done.returncode == 64
    assert "found none" in done.stderr


@pytest.mark.parametrize(
    ("name", "code", "says"),
    [("db-timeout", 2, "nothing was written"), ("slow-shelves", 64, "as its files are now")],
)
def test_only_a_proven_case_of_the_scenario_is_recorded(
    tmp_path: Path, name: str, code: int, says: str
) -> None:
    """An incomplete one exits as its verdict says, another scenario's is refused."""
    scenarios = tmp_path / "scenarios"
    shutil.copytree(CHECKOUT / "scenarios", scenarios, ignore=shutil.ignore_patterns("*.zip"))
    FolderArchive(tmp_path / "cases").seal(sample_case())
    done = lab(tmp_path, "record", name, "--case", "db-timeout-1", LAB_SCENARIOS_DIR=str(scenarios))
    assert done.returncode == code, done.stderr
    assert says in done.stdout + done.stderr
    assert not list(scenarios.rglob("*.zip"))


def test_a_broken_scenario_lists_all_its_problems(tmp_path: Path) -> None:
    """Every problem at once, each with file and line."""
    folder = tmp_path / "scenarios" / "broken"
    folder.mkdir(parents=True)
    text = (CHECKOUT / "scenarios" / "db-timeout" / "scenario.yaml").read_text()
    text = text.replace("auth-users_db", "auth-user_db").replace("difficulty: 0", "difficulty: 9")
    (folder / "scenario.yaml").write_text(text)
    for name in ("briefing.md", "debrief.md"):
        (folder / name).write_text((CHECKOUT / "scenarios" / "db-timeout" / name).read_text())
    done = subprocess.run(
        [sys.executable, "-m", "lab", "run", "broken"],
        env={"LAB_STATE_DIR": str(tmp_path), "LAB_SCENARIOS_DIR": str(folder.parent)},
        capture_output=True,
        text=True,
        cwd=CHECKOUT,
        check=False,
    )
    assert done.returncode == 64
    assert "scenario.yaml:3 difficulty" in done.stderr
    assert "auth-users_db" in done.stderr, "a near name is suggested"


@pytest.mark.parametrize(("text", "meant"), [("90", 90), ("90s", 90), ("10m", 600), ("1.5h", 5400)])
def test_lengths_of_time(text: str, meant: float) -> None:
    """Seconds, minutes and hours are understood."""
    assert seconds(text, at_most_s=MAX_TTL_S) == meant


@pytest.mark.parametrize("text", ["", "m", "-5s", "0", "7h", "ten", "nan", "inf"])
def test_lengths_that_mean_nothing(text: str) -> None:
    """Nothing that is not between zero and what is allowed."""
    with pytest.raises(UsageError, match=r"10m.*at most 6h"):
        seconds(text, at_most_s=MAX_TTL_S)


def test_every_error_has_an_exit_code_that_says_something() -> None:
    """No error of ours exits with 0 or with 1, which mean proven and refuted."""

    def family(kind: type[LabError]) -> list[type[LabError]]:
        return [kind, *(each for child in kind.__subclasses__() for each in family(child))]

    assert {kind.exit_code for kind in family(LabError)} == {2, 64}


def test_a_state_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A run that cannot write says which file, why and what to do; it refutes nothing."""
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    done = lab(in_the_way / "state", "run", "db-timeout")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    for part in (str(in_the_way), os.strerror(errno.ENOTDIR), "LAB_STATE_DIR"):
        assert part in done.stderr


def test_a_full_disk_is_called_so(capsys: pytest.CaptureFixture[str]) -> None:
    """A write names no file when it fails; what to do is said all the same."""
    assert failures.report(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))) == 2
    said = capsys.readouterr().err
    assert "free some space" in said
    assert "LAB_STATE_DIR" in said


@pytest.mark.parametrize("value", ["abc", "-1"])
def test_a_wrong_setting_is_named_as_it_was_set(tmp_path: Path, value: str) -> None:
    """A variable that means nothing is a wrong command line."""
    done = lab(tmp_path, "cases", LAB_PORT_OFFSET=value)
    assert done.returncode == 64
    assert "LAB_PORT_OFFSET" in done.stderr
    assert repr(value) in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("value", ["none", "baggage", "b3,xray", "B3"])
def test_headers_that_carry_no_trace_are_refused(tmp_path: Path, value: str) -> None:
    """Nothing could be proven with them; those that can be had are named."""
    done = lab(tmp_path, "cases", OTEL_PROPAGATORS=value)
    assert done.returncode == 64
    assert "expected the variable OTEL_PROPAGATORS" in done.stderr
    assert "tracecontext, b3, b3multi, jaeger" in done.stderr
    assert repr(value) in done.stderr


@pytest.mark.parametrize("name", ["two\nlines", "b\udcffd", "rung\a"])
def test_a_folder_that_no_configuration_can_name_is_refused(tmp_path: Path, name: str) -> None:
    """Supervisord's file has lines, and is UTF-8."""
    done = lab(tmp_path / name, "up")
    assert done.returncode == 64
    assert "variable LAB_STATE_DIR to be a folder's name in UTF-8" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("variable", ["STACK", "LAB_STACK"])
def test_an_unknown_stack_is_refused_before_anything_starts(tmp_path: Path, variable: str) -> None:
    """The message has the variable as it was set, and what there is."""
    done = lab(tmp_path, "up", **{variable: "swarm"})
    assert done.returncode == 64
    assert f"variable {variable} to be 'local', 'compose' or 'external'" in done.stderr
    assert "'swarm'" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("variable", "known"), [("STORE", "'tempo' or 'jaeger'"), ("BACKEND", "'jaeger' or 'datadog'")]
)
def test_an_unknown_store_or_backend_is_refused_before_anything_starts(
    tmp_path: Path, variable: str, known: str
) -> None:
    """With the list of those there are."""
    for name in (variable, f"LAB_{variable}"):
        done = lab(tmp_path, "up", **{name: "zipkin"})
        assert done.returncode == 64
        assert f"variable {name} to be {known}, got 'zipkin'" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("beside", "expected"),
    [
        ({"BACKEND": "jaeger"}, "no BACKEND"),
        ({"BACKEND": "datadog"}, "no BACKEND"),
        ({"LAB_SIGNALS": "full"}, "LAB_SIGNALS=traces"),
        ({"STACK": "compose"}, "STACK=local"),
    ],
    ids=str,
)
def test_what_needs_tempo_is_refused_beside_a_store_without(
    tmp_path: Path, beside: dict[str, str], expected: str
) -> None:
    """With what was found."""
    done = lab(tmp_path, "up", STORE="jaeger", **beside)
    assert done.returncode == 64
    assert f"expected {expected}" in done.stderr
    [(name, value)] = beside.items()
    assert f"beside STORE=jaeger, found {name}={value}" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("command", "name", "need"),
    [
        ("run", "locked-drawer", "somebody who asks the database"),
        ("verify", "burned-files", "a Collector that reads other settings"),
    ],
)
def test_a_case_that_only_the_local_stack_can_run_is_refused_elsewhere(
    tmp_path: Path, command: str, name: str, need: str
) -> None:
    """With the reason, before anything starts."""
    done = lab(tmp_path, command, name, STACK="compose")
    assert done.returncode == 64
    assert f"expected STACK=local for {name}, which needs {need}" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_where_all_are_to_be_proven_what_this_stack_cannot_run_is_left_out_aloud(
    tmp_path: Path,
) -> None:
    """And where nothing is left, nothing starts."""
    shutil.copytree(CHECKOUT / "scenarios" / "burned-files", tmp_path / "cases" / "burned-files")
    done = lab(tmp_path, "verify", STACK="compose", LAB_SCENARIOS_DIR=str(tmp_path / "cases"))
    assert done.returncode == 64
    assert "skipped: burned-files needs a Collector" in " ".join(done.stderr.split())
    assert "found none to verify" in done.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["cases"]


def test_a_stack_elsewhere_needs_all_its_addresses(tmp_path: Path) -> None:
    """Those that lack are named, all at once; nothing else is complained about."""
    known = {"LAB_WARDEN_URL": "http://10.0.0.1:18122", "LAB_TEMPO_URL": "http://10.0.0.1:3200/"}
    done = lab(tmp_path, "run", "db-timeout", STACK="external", **known)
    assert done.returncode == 64
    assert "LAB_GATEWAY_URL, LAB_COLLECTOR_URL, LAB_COLLECTOR_METRICS_URL" in done.stderr
    assert "LAB_WARDEN_URL" not in done.stderr
    wrong = lab(tmp_path, "cases", LAB_TEMPO_URL="somewhere")
    assert wrong.returncode == 64
    assert "LAB_TEMPO_URL" in wrong.stderr
    assert "'somewhere'" in wrong.stderr


def test_a_bug_is_one_sentence_and_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What nobody foresaw exits with 70; its words, which may spoil a case, go to the file."""
    monkeypatch.setenv("LAB_STATE_DIR", str(tmp_path))
    assert failures.report(KeyError("auth-users_db")) == 70
    said = capsys.readouterr().err
    assert "KeyError" in said
    assert "auth-users_db" not in said
    assert len(said.splitlines()) == 1
    assert "KeyError: 'auth-users_db'" in (tmp_path / "log" / "bug.txt").read_text()


def test_a_bug_is_told_even_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With no place for the file, the traceback itself is shown."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("LAB_STATE_DIR", str(tmp_path / "file"))
    assert failures.report(RuntimeError("odd")) == 70
    assert "RuntimeError: odd" in capsys.readouterr().err


def test_the_first_of_several_failures_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Errors of tasks side by side keep their exit code."""
    group = ExceptionGroup("tasks", [UsageError("expected this"), ValueError()])
    assert failures.report(group) == 64
    assert "expected this" in capsys.readouterr().err


@pytest.mark.parametrize("words", [("mechanisms",), ("cases",), ("cases", "--json")])
def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path, words: tuple[str, ...]) -> None:
    """`lab traces | head -1` ends well and says nothing, printed by Rich or by Typer."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "lab", *words],
            env={"LAB_STATE_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            cwd=CHECKOUT,
            check=False,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_status_of_a_stack_that_is_down_claims_nothing(tmp_path: Path) -> None:
    """Without a warden nobody knows of a lease, and neither form of the answer pretends to."""
    done = lab(tmp_path, "status", "--json", LAB_PORT_OFFSET=FREE_OFFSET)
    assert done.returncode == 1
    assert json.loads(done.stdout)["lease"] == "unknown"


def test_the_status_table_tells_three_kinds_of_lease() -> None:
    """None, one, and not known read differently."""
    texts = []
    for lease in (None, "unknown", {"holder": "hold", "state": "held", "expires_in_s": 3.0}):
        out = io.StringIO()
        Console(file=out, width=120).print(status_table([], lease))
        texts.append(out.getvalue())
    assert "as it should be" in texts[0]
    assert "unknown: the warden does not answer" in texts[1]
    assert "held by hold" in texts[2]


def test_the_safety_lever_works_with_the_stack_down(tmp_path: Path) -> None:
    """It says what it could do, `status` tells of it, and `allow-harm` puts it back."""
    here = {"LAB_PORT_OFFSET": FREE_OFFSET}
    stopped = lab(tmp_path, "stop-harm", **here)
    assert stopped.returncode == 0
    assert "no lease is given until `lab allow-harm`" in stopped.stdout
    assert "The warden does not answer" in stopped.stdout
    told = json.loads(lab(tmp_path, "status", "--json", **here).stdout)
    assert told["harm_stopped"] is True
    assert "harm is stopped" in lab(tmp_path, "status", **here).stdout
    assert lab(tmp_path, "allow-harm", **here).returncode == 0
    told = json.loads(lab(tmp_path, "status", "--json", **here).stdout)
    assert told["harm_stopped"] is False


@pytest.mark.parametrize("command", ["stop-harm", "allow-harm"])
def test_a_lever_that_reaches_nobody_says_so(tmp_path: Path, command: str) -> None:
    """In containers the warden has a disk of its own; nothing is claimed while it is down."""
    done = lab(tmp_path, command, LAB_PORT_OFFSET=FREE_OFFSET, STACK="compose")
    assert done.returncode == 2
    assert "expected the warden to answer" in done.stderr
    assert not (tmp_path / "no-harm").exists()


def test_the_start_says_what_it_waits_for() -> None:
    """Where nobody watches: a line a part, with what is still missing; nothing twice."""
    out = io.StringIO()
    with StartDisplay(Console(file=out, width=120), ["postgres", "tempo", "shop"]) as display:
        for name in ("warden", "tempo", "tempo", "postgres"):
            display.ready(name)
    lines = out.getvalue().splitlines()
    assert lines[0] == "waiting for postgres, tempo, shop"
    assert [re.sub(r"^ *[\d.]+s  ", "", line) for line in lines[1:]] == [
        "tempo is ready; waiting for postgres, shop",
        "postgres is ready; waiting for shop",
    ]


def test_a_start_of_what_runs_is_silent() -> None:
    """`lab up` on a stack that is up has nothing to tell part by part."""
    out = io.StringIO()
    with StartDisplay(Console(file=out), []) as display:
        display.ready("tempo")
    assert out.getvalue() == ""


def test_a_long_list_of_parts_fits_one_line() -> None:
    """A terminal's line names a few parts and counts the others."""
    out = io.StringIO()
    with StartDisplay(Console(file=out, width=80), [f"part{n}" for n in range(13)]):
        pass
    assert out.getvalue() == "waiting for part0, part1, part2, part3, part4 and 8 more\n"


AT_THE_EDGE = {Harm.ERROR, Harm.REJECTION, Harm.SLOWNESS}
"""What a request's own answer shows; of any other harm the window is listed."""


@pytest.mark.parametrize(
    ("harm", "lists"),
    [
        (Harm.ERROR, "traces --outcome error"),
        (Harm.REJECTION, "traces --outcome rejected"),
        (Harm.SLOWNESS, "traces --slowest"),
        *((harm, "traces --window incident") for harm in Harm if harm not in AT_THE_EDGE),
    ],
)
def test_the_next_look_lists_those_who_were_hit(
    harm: Harm, lists: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Errors, refusals and slow answers are found by different options, all of which exist."""
    out = io.StringIO()
    monkeypatch.setattr(run, "console", Console(file=out, width=100))
    case = sample_case()
    symptom = replace(case.scenario.symptom, harm=harm)
    run.print_opened(replace(case, scenario=replace(case.scenario, symptom=symptom)), reveal=False)
    assert f"{lists}  " in out.getvalue()
    assert f"trace {case.support_code}  the" in out.getvalue(), "an id of full length has its space"


@pytest.mark.parametrize("command", [each.name for panel in PANELS.values() for each in panel])
def test_help_of_every_command_has_an_example(command: str) -> None:
    """The last line of a command's help can be typed as it stands."""
    shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "100"}).output
    assert re.search(rf"Example: .*lab {command}", shown)


def test_an_accusation_is_printed_for_programs_with_each_spans_mechanism(tmp_path: Path) -> None:
    """Two words for two spans; a third is refused, and nobody needs none."""
    FolderArchive(tmp_path / "cases").seal(sample_case())
    trace = "01bb" * 8
    two = [trace, span_id(trace, 6), trace, span_id(trace, 2)]
    words = ["--mechanism", "timeout", "--mechanism", "latency"]
    refused = lab(tmp_path, "accuse", *two, *words, "--mechanism", "timeout")
    assert refused.returncode == 64
    assert "expected one mechanism, or one for each of 2 spans, got 3" in refused.stderr
    told = json.loads(lab(tmp_path, "accuse", *two, *words, "--json").stdout)
    assert [each["mechanism"] for each in told["accused"]] == ["timeout", "latency"]
    assert (told["verdict"], told["scope_counts"]) == ("messenger", False)
    nobody = lab(tmp_path, "accuse", "--nobody")
    assert "SOMEBODY" in nobody.stdout


def test_a_pasted_address_is_accused_as_two_ids_are(tmp_path: Path) -> None:
    """What the desk understands, the command line does; and the debrief opens afterwards."""
    FolderArchive(tmp_path / "cases").seal(sample_case())
    trace = "01bb" * 8
    address = f"http://127.0.0.1:18126/a/x/explore?traceId={trace}&spanId={span_id(trace, 6)}"
    assert lab(tmp_path, "debrief").returncode == 64
    done = lab(tmp_path, "accuse", address, "--mechanism", "timeout")
    assert done.returncode == 0, done.stderr
    assert "SOLVED" in done.stdout
    told = lab(tmp_path, "debrief", "--markdown").stdout
    assert told.startswith("# Post-mortem: The clock stops at checkout")
    assert "after 0 s: accused a span of timeout: solved" in told


def test_hints_are_listed_before_one_is_read(tmp_path: Path) -> None:
    """The list shows no words; reading one shows it, and giving up makes the rest free."""
    FolderArchive(tmp_path / "cases").seal(sample_case())
    listed = json.loads(lab(tmp_path, "hint", "--json").stdout)
    assert [each["text"] for each in listed] == [None] * 6
    assert "1 of 6: The pager says" in lab(tmp_path, "hint", "1").stdout
    assert "Given up" in lab(tmp_path, "debrief", "--give-up", "--markdown").stdout
    assert json.loads(lab(tmp_path, "hint", "6", "--json").stdout)[0]["cost"] == 0
