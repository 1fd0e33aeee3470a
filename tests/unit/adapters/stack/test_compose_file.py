"""The compose file against the specification's schema and the topology, without an engine."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from lab.adapters.stack import compose_file, local_programs
from lab.adapters.tools import toolbox
from lab.settings import CHECKOUT, Settings
from lab.shop.keeper import secret
from lab.shop.keeper.environment import service_environment
from lab.shop.topology import PORTS, SERVICES
from tests.support import compose_rules

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def document() -> dict[str, Any]:
    return copy.deepcopy(dict(compose_file.read()))


def test_the_compose_file_keeps_every_rule(document: dict[str, Any]) -> None:
    """Schema, images, ports, memory, health, names: all as they should be."""
    assert compose_rules.all_problems(document) == []
    for profile in ("jaeger", "datadog"):
        assert not list(compose_rules.memory_problems(document, frozenset({profile})))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda it: it["services"]["tempo"].update(helthcheck={}), "helthcheck"),
        (
            lambda it: it["services"]["tempo"].update(image="grafana/tempo:latest"),
            "by its variable",
        ),
        (lambda it: it["services"]["warden"].update(ports=["18122:18122"]), "expected 127.0.0.1"),
        (
            lambda it: it["services"]["tempo"].update(
                ports=["127.0.0.1:${LAB_TEMPO_GRPC_PORT:-18113}:18113"]
            ),
            "expected a published port",
        ),
        (lambda it: it["services"]["warden"].update(networks=["shop"]), "on the network `host`"),
        (lambda it: it["services"]["loki"].pop("mem_limit"), "loki: expected a mem_limit"),
        (lambda it: it["services"]["loki"].update(mem_limit="2048m"), "at most 3072 MiB"),
        (lambda it: it["services"]["loki"].pop("healthcheck"), "loki: expected a health check"),
        (
            lambda it: it["services"]["warden"].update(depends_on=["toxiproxy"]),
            "wait for toxiproxy by service_healthy",
        ),
        (
            lambda it: it["services"]["toxiproxy"]["networks"]["shop"]["aliases"].remove("bank"),
            "toxiproxy: expected to be called",
        ),
        (
            lambda it: it["services"].update(auth=it["services"]["shop-auth"]),
            "auth: expected no service of that name",
        ),
        (lambda it: it["networks"]["shop"].pop("internal"), "network shop: expected it to be"),
        (lambda it: it["services"].pop("shop-bank"), "shop-bank: expected the service bank"),
        (
            lambda it: it["services"]["shop-bank"].update(command=["auth"]),
            "shop-bank: expected to run bank",
        ),
        (
            lambda it: it["services"]["shop-bank"]["healthcheck"]["test"].insert(2, "18101"),
            "shop-bank: expected its health at 18105",
        ),
        (
            lambda it: it["services"]["warden"]["environment"].update(A="http://toxi:18111"),
            "found toxi:18111",
        ),
        (
            lambda it: it["services"]["otelcol"]["environment"].pop("TEMPO_OTLP_GRPC"),
            "otelcol: expected TEMPO_OTLP_GRPC, which collector.yaml needs",
        ),
    ],
)
def test_each_rule_can_be_broken(document: dict[str, Any], change: Change, says: str) -> None:
    """A wrong file is refused, by name, with what was expected."""
    document = json.loads(json.dumps(document))  # What its anchors share, a change must not.
    change(document)

    problems = compose_rules.all_problems(document)

    assert any(says in problem for problem in problems), problems


def test_a_tag_without_a_version_is_refused(document: dict[str, Any]) -> None:
    """`latest` is another image every week."""
    assert list(compose_rules.image_problems(document, {"tempo": "latest"})) == [
        "tempo: expected a tag with a version, found 'latest'"
    ]


def test_the_images_are_those_that_the_local_stack_builds() -> None:
    """The same case has to come out the same way, so versions are the same where they can be."""
    tags, built = compose_file.tags(), {tool.name: tool.version for tool in toolbox.ALL_TOOLS}
    # There a network keeps others out, and no guard is needed.
    assert f"{tags['toxiproxy']}+guard" == built["toxiproxy"]
    assert tags["opentelemetry-collector-contrib"] == built["otelcol"]
    assert tags["prometheus"] == f"v{built['prometheus']}"
    assert tags["loki"] == built["loki"]
    assert tags["tempo"].split(".")[:2] == built["tempo"].split(".")[:2]
    assert tags["postgres"].startswith("18.")


def test_every_variable_has_a_value_where_nobody_sets_one(document: dict[str, Any]) -> None:
    """`docker compose up` alone works: what is interpolated stands in .env, or has a default."""
    text = compose_file.FILE.read_text(encoding="utf-8")
    known = {line.partition("=")[0] for line in compose_file.TAGS.read_text().splitlines()}
    bare = set(re.findall(r"\$\{(\w+)\}", text))
    assert bare
    assert bare <= known


def test_a_checkout_moves_its_ports_and_writes_as_its_user(tmp_path: Path) -> None:
    """What `lab up` sets: ports by the offset, and root's id where root inside is the user."""
    settings = Settings(state_dir=tmp_path / ".lab", port_offset=300, stack="compose")

    mine = compose_file.variables(settings, root_is_user=False)
    mapped = compose_file.variables(settings, root_is_user=True)

    assert mine["LAB_TEMPO_HTTP_PORT"] == str(PORTS["tempo_http"] + 300)
    assert mine["LAB_STATE_DIR"] == str(tmp_path / ".lab")
    assert (mapped["LAB_UID"], mapped["LAB_GID"]) == ("0", "0")
    text = compose_file.FILE.read_text(encoding="utf-8")
    used = set(re.findall(r"\$\{(LAB_\w+_PORT):-", text)) - {"LAB_JAEGER_PORT"}
    assert used == {name for name in mine if re.fullmatch(r"LAB_\w+_PORT", name)}


def test_the_warden_of_a_container_asks_for_this_checkouts_secret(tmp_path: Path) -> None:
    """Nobody else is told it; without the lab, by hand, there is none."""
    settings = Settings(state_dir=tmp_path / ".lab", stack="compose")
    assert compose_file.variables(settings, root_is_user=False)[secret.VARIABLE] == ""
    assert settings.secret_file is not None
    settings.run_dir.mkdir(parents=True)
    secret.make(settings.secret_file)
    told = compose_file.variables(settings, root_is_user=False)[secret.VARIABLE]
    assert dict(secret.headers(settings.secret_file)) == {secret.HEADER: f"Bearer {told}"}
    services = compose_file.read()["services"]
    knowing = {
        name
        for name, service in services.items()
        if secret.VARIABLE in str(service.get("environment"))
    }
    assert knowing == {"warden"}


def test_what_is_mounted_is_there(document: dict[str, Any]) -> None:
    """An engine makes an empty folder of a file that is missing, and says nothing."""
    for name, service in document["services"].items():
        for volume in service.get("volumes", ()):
            source = str(volume).partition(":")[0]
            if source.startswith("."):
                assert (compose_file.FOLDER / source).exists(), f"{name}: {source}"


def test_what_ends_a_store_is_out_of_reach(document: dict[str, Any]) -> None:
    """Only a door is published before Tempo, and it lets in what the local one does."""
    services = document["services"]
    for store in ("tempo", "prometheus", "loki"):
        assert "ports" not in services[store]
        assert "host" not in services[store]["networks"]
    assert services["door"]["volumes"] == ["../door:/etc/deadspan:ro"]
    written = json.loads((CHECKOUT / "deploy/door/doors.json").read_text())
    assert written == compose_file.doors()
    (local, *_) = local_programs.doors(Settings())
    assert written[0]["allow"] == list_of(local["allow"])


def list_of(value: object) -> list[object]:
    assert isinstance(value, list | tuple)
    return list(value)


def test_proxies_are_the_topologys() -> None:
    """Each before its callee's own host; no caller's address leads past its proxy."""
    written = json.loads((CHECKOUT / "deploy/toxiproxy/proxies.json").read_text())
    assert written == compose_file.proxies()
    listening = {proxy["listen"].rpartition(":")[2] for proxy in written}
    for service in SERVICES:
        addresses = re.findall(r":(181[45]\d)\b", " ".join(_callees(service)))
        assert set(addresses) <= listening


def _callees(service: str) -> list[str]:
    environment = service_environment(service, by_name=True)
    return [value for name, value in environment.items() if name.startswith("SHOP_")]


def test_the_image_has_nothing_that_the_lock_does_not_name() -> None:
    """Three stages, each by hash, and a user without privileges at the end."""
    text = (compose_file.FOLDER / "Dockerfile").read_text(encoding="utf-8")
    assert text.count("FROM ${PYTHON_IMAGE}") == 3
    assert text.count("pip install") == text.count("--require-hashes") == 2
    assert text.rstrip().splitlines()[-1] == "USER 10001:10001"


def test_the_workflow_is_valid_and_runs_targets_of_the_makefile() -> None:
    """By the schema that the package check-jsonschema carries; every step fails at home too."""
    workflow = YAML(typ="safe").load((CHECKOUT / ".github/workflows/ci.yml").read_text())
    assert list(compose_rules.schema_problems(workflow, "github-workflows.json")) == []
    wrong = {**workflow, "jobs": {"test": {"steps": []}}}
    assert list(compose_rules.schema_problems(wrong, "github-workflows.json"))
    run = [
        step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step
    ]
    assert {"make test", "make verify", "make test-compose"} <= set(run)
