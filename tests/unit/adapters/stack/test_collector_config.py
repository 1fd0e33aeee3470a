"""Which files the Collector reads, and that each is accepted by the Collector itself."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from lab.adapters.stack import collector_config, local_programs
from lab.adapters.tools import toolbox
from lab.errors import ToolMissing, UsageError
from lab.settings import Settings

KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def no_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BACKEND", "LAB_BACKEND", "STORE", "LAB_STORE", "DD_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def names(settings: Settings) -> list[str]:
    return [path.stem for path in collector_config.files(settings)]


def test_each_wish_adds_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes later is merged over what came before."""
    assert names(Settings(state_dir=tmp_path)) == ["collector"]
    monkeypatch.setenv("BACKEND", "jaeger")
    both = Settings(state_dir=tmp_path, signals="full")
    assert names(both) == ["collector", "signals", "backend-jaeger"]
    assert all(path.is_file() for path in collector_config.files(both))
    monkeypatch.delenv("BACKEND")
    monkeypatch.setenv("STORE", "jaeger")
    alone = Settings(state_dir=tmp_path)
    assert names(alone) == ["collector", "store-jaeger"]
    assert all(path.is_file() for path in collector_config.files(alone))


def test_no_backend_takes_tempo_away() -> None:
    """A list replaces a list: one that forgot Tempo would end every proof, but where none runs."""
    for path in collector_config.FOLDER.glob("*.yaml"):
        pipelines = YAML(typ="safe").load(path.read_text("utf-8"))["service"]["pipelines"]
        if "exporters" in pipelines.get("traces", {}):
            store = path.stem.removeprefix("store-") if "store-" in path.stem else "tempo"
            assert f"otlp_grpc/{store}" in pipelines["traces"]["exporters"], path.name
        if "exporters" in pipelines.get("logs", {}):
            assert "file/logs" in pipelines["logs"]["exporters"], path.name


@pytest.mark.parametrize(
    "wishes",
    [
        {},
        {"LAB_SIGNALS": "full"},
        {"BACKEND": "jaeger"},
        {"LAB_SIGNALS": "full", "BACKEND": "jaeger"},
        {"STORE": "jaeger"},
    ],
    ids=str,
)
def test_the_collector_accepts_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wishes: dict[str, str]
) -> None:
    """`otelcol validate`, with the environment of a stack."""
    for name, wish in wishes.items():
        monkeypatch.setenv(name, wish)
    settings = Settings(state_dir=tmp_path)
    tool = next(tool for tool in toolbox.TOOLS if tool.name == "otelcol")
    found = toolbox.find(tool, settings)
    if found is None:
        pytest.skip("skipped: the Collector is not built")
    done = subprocess.run(
        [found.path, "validate", *collector_config.options(settings)],
        env=local_programs.environment(settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_datadog_needs_another_collector_and_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are told before anything starts, and the key by nobody."""
    monkeypatch.setenv("BACKEND", "datadog")
    with pytest.raises(ToolMissing, match="otelcol-contrib"):
        collector_config.check_backend(Settings(state_dir=tmp_path), {"DD_API_KEY": KEY})
    own = Settings(state_dir=tmp_path, otelcol_bin=tmp_path / "otelcol-contrib")
    with pytest.raises(UsageError, match="DD_API_KEY"):
        collector_config.check_backend(own, {})
    collector_config.check_backend(own, {"DD_API_KEY": KEY})


def test_the_key_stands_in_no_file_and_no_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reaches the Collector by its environment alone."""
    monkeypatch.setenv("BACKEND", "datadog")
    monkeypatch.setenv("DD_API_KEY", KEY)
    settings = Settings(state_dir=tmp_path)
    binaries = {tool.name: Path("/bin/true") for tool in (*toolbox.TOOLS, *toolbox.SIGNAL_TOOLS)}
    programs = local_programs.programs(settings, binaries)
    assert KEY not in repr(programs)
    assert KEY not in repr(settings)
    assert local_programs.environment(settings)["DD_API_KEY"] == os.environ["DD_API_KEY"]
    assert "${env:DD_API_KEY}" in (collector_config.FOLDER / "backend-datadog.yaml").read_text()
