"""The Kubernetes manifests: built by kustomize, valid offline, and true to the topology."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from lab.settings import Settings
from tests.support import kubernetes_rules
from tests.support.kubernetes_rules import FOLDER

Manifests = list[dict[str, Any]]


@cache
def built(folder: str) -> Manifests:
    return kubernetes_rules.build(FOLDER / folder)


def named(manifests: Manifests, kind: str, name: str) -> dict[str, Any]:
    """The manifest of that kind and name."""
    return next(e for e in manifests if e["kind"] == kind and e["metadata"]["name"] == name)


def container(manifests: Manifests, kind: str, name: str) -> dict[str, Any]:
    """The only container of its pods."""
    spec = named(manifests, kind, name)["spec"]["template"]["spec"]
    found: dict[str, Any] = spec["containers"][0]
    return found


@pytest.mark.parametrize("folder", ["base", "overlays/team"])
def test_manifests_keep_every_rule(folder: str) -> None:
    """Schemas, images, bounds, probes, names and ports."""
    assert kubernetes_rules.all_problems(built(folder)) == []


def test_a_case_runs_as_a_job_on_the_stack_around_it() -> None:
    """It starts nothing, and has every address that `STACK=external` asks for."""
    manifests = [*built("base"), *built("case")]
    assert kubernetes_rules.all_problems(manifests) == []
    job = container(manifests, "Job", "case")
    assert job["command"] == ["python", "-m", "lab", "run", "db-timeout"]
    given = {each["name"]: each["value"] for each in job["env"]}
    given |= named(manifests, "ConfigMap", "lab")["data"]
    fields = {
        name.lower().removeprefix("lab_"): value
        for name, value in given.items()
        if name.startswith("LAB_") or name == "STACK"
    }
    settings = Settings(**fields)
    assert settings.stack == "external"
    names = {each["metadata"]["name"] for each in manifests if each["kind"] == "Service"}
    for part in ("gateway", "warden", "otelcol_otlp_http", "otelcol_metrics"):
        assert settings.url(part).removeprefix("http://").partition(":")[0] in names


def test_a_team_gives_its_own_database_store_and_registry() -> None:
    """What the base leaves open is filled; nothing of `invalid` is left."""
    team = built("overlays/team")
    assert "invalid" in str(built("base"))
    assert "invalid" not in str(team)
    assert container(team, "Deployment", "warden")["image"].startswith("registry.example.com/")


Change = Callable[[Manifests], object]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda it: container(it, "Deployment", "warden").update(comand=[]),
            "Deployment warden",
        ),
        (
            lambda it: container(it, "Deployment", "toxiproxy").update(image="a/toxiproxy:2.0.0"),
            "Deployment toxiproxy: expected a tag of compose/.env",
        ),
        (
            lambda it: container(it, "Deployment", "warden").update(image="deadspan-lab:latest"),
            "Deployment warden: expected a tag with a version",
        ),
        (
            lambda it: container(it, "Deployment", "shop-bank").pop("resources"),
            "Deployment shop-bank: expected a request",
        ),
        (
            lambda it: container(it, "Deployment", "shop-bank").pop("readinessProbe"),
            "Deployment shop-bank: expected a readiness probe",
        ),
        (
            lambda it: container(it, "Deployment", "shop-bank").pop("securityContext"),
            "Deployment shop-bank: expected no privileges",
        ),
        (
            lambda it: named(it, "Service", "catalog")["spec"]["ports"].pop(),
            "Service catalog: expected ports [18141, 18145]",
        ),
        (
            lambda it: named(it, "Service", "warden")["spec"].update(selector={"app": "guard"}),
            "Service warden: expected pods",
        ),
        (
            lambda it: it.remove(named(it, "ConfigMap", "lab")),
            "Deployment otelcol: expected a ConfigMap lab",
        ),
    ],
)
def test_each_rule_can_be_broken(change: Change, says: str) -> None:
    """A wrong manifest is refused, by kind and name."""
    manifests = copy.deepcopy(built("base"))
    change(manifests)

    problems = kubernetes_rules.all_problems(manifests)

    assert any(says in problem for problem in problems), problems
