"""Which files the Collector reads, and that each is accepted by the Collector itself."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from lab.adapters.stack import collector_config, local_programs
from lab.adapters.tools import toolbox
from lab.errors import UsageError
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


def test_every_way_out_is_masked_as_the_first_one_is() -> None:
    """Of each signal, whoever gets it: a pipeline of a backend's own must not leave a part out."""

    def pipelines(path: Path) -> dict[str, dict[str, list[str]]]:
        found: dict[str, dict[str, list[str]]] = YAML(typ="safe").load(path.read_text("utf-8"))[
            "service"
        ]["pipelines"]
        return found

    first = pipelines(collector_config.FOLDER / "collector.yaml")
    for path in collector_config.FOLDER.glob("*.yaml"):
        for name, pipeline in pipelines(path).items():
            wanted = set(first[name.partition("/")[0]]["processors"]) - {"batch"}
            assert wanted <= set(pipeline.get("processors", wanted)), f"{path.name}: {name}"


@pytest.mark.parametrize(
    "wishes",
    [
        {},
        {"LAB_SIGNALS": "full"},
        {"BACKEND": "jaeger"},
        {"BACKEND": "datadog"},
        {"LAB_SIGNALS": "full", "BACKEND": "jaeger"},
        {"LAB_SIGNALS": "full", "BACKEND": "datadog"},
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
    monkeypatch.setenv("DD_API_KEY", KEY)
    settings = Settings(state_dir=tmp_path)
    tool = next(tool for tool in toolbox.wanted(settings) if tool.part == "otelcol")
    found = toolbox.find(tool, settings)
    if found is None:
        pytest.skip(f"skipped: {tool.name} is not built")
    done = subprocess.run(
        [found.path, "validate", *collector_config.options(settings)],
        env=local_programs.environment(settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_datadog_needs_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That it lacks is told before anything is built or starts."""
    monkeypatch.setenv("BACKEND", "datadog")
    settings = Settings(state_dir=tmp_path)
    with pytest.raises(UsageError, match="DD_API_KEY"):
        collector_config.check_backend(settings, {})
    collector_config.check_backend(settings, {"DD_API_KEY": KEY})


def test_datadogs_exporter_sees_of_the_users_variables_what_its_file_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads others, too: this one would send metrics elsewhere, whatever the file says."""
    monkeypatch.setenv("DD_API_KEY", KEY)
    monkeypatch.setenv("DD_SITE", "datadoghq.eu")
    monkeypatch.setenv("DD_DD_URL", "https://elsewhere.example")
    assert not theirs(Settings(state_dir=tmp_path))
    own = Settings(state_dir=tmp_path, backend="datadog", datadog_intake_url="http://127.0.0.1:9/")
    assert theirs(own) == {
        "DD_API_KEY": KEY,
        "DD_SITE": "datadoghq.eu",
        "DATADOG_INTAKE_URL": "http://127.0.0.1:9",
    }


def test_no_proxy_stands_before_an_intake_on_this_machine(tmp_path: Path) -> None:
    """With its port, for Datadog's clients compare the whole; of another host nothing is said."""
    here = Settings(state_dir=tmp_path, backend="datadog", datadog_intake_url="http://127.0.0.1:9")
    there = Settings(state_dir=tmp_path, backend="datadog", datadog_intake_url="http://10.0.0.9:9")
    own = local_programs.environment(here)
    assert own["NO_PROXY"] == own["no_proxy"] == "127.0.0.1,localhost,127.0.0.1:9,169.254.169.254"
    assert local_programs.environment(there)["NO_PROXY"] == "127.0.0.1,localhost,169.254.169.254"


def theirs(settings: Settings) -> dict[str, str]:
    environment = local_programs.environment(settings)
    return {name: text for name, text in environment.items() if name.startswith(("DD_", "DATADOG"))}


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
    with_key = [each.name for each in programs if ("DD_API_KEY", "") not in each.environment]
    assert with_key == ["otelcol"]
    assert KEY not in repr(settings)
    assert local_programs.environment(settings)["DD_API_KEY"] == os.environ["DD_API_KEY"]
    assert "${env:DD_API_KEY}" in (collector_config.FOLDER / "backend-datadog.yaml").read_text()
