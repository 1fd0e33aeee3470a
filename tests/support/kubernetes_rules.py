"""What the Kubernetes manifests of the lab have to keep, once kustomize has built them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from ruamel.yaml import YAML

from lab.adapters.stack import compose_file
from lab.settings import CHECKOUT
from lab.shop.topology import EDGES, PORTS, SERVICES, host_name, own_host

FOLDER = CHECKOUT / "deploy" / "kubernetes"
API_VERSION = "1.34"
PODS = ("Deployment", "Job")

Manifest = Mapping[str, Any]


def build(folder: Path) -> list[dict[str, Any]]:
    """Every manifest that ``folder`` comes to, by kustomize or the one inside kubectl."""
    if shutil.which("kustomize"):
        command = ["kustomize", "build", str(folder)]
    elif shutil.which("kubectl"):
        command = ["kubectl", "kustomize", str(folder)]
    else:
        pytest.skip("skipped: neither kustomize nor kubectl on PATH")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [each for each in YAML(typ="safe").load_all(done.stdout) if each]


def schema_problems(manifests: Iterable[Manifest]) -> Iterator[str]:
    """What Kubernetes' own schemas say, unknown fields included; kubernetes-validate has them."""
    for each in manifests:
        try:
            kubernetes_validate.validate(each, API_VERSION, strict=True)
        except kubernetes_validate.ValidationError as error:
            yield f"{_name(each)}: {error.message}"


def image_problems(manifests: Iterable[Manifest]) -> Iterator[str]:
    """An image that is neither ours nor, by tag, the one that compose takes."""
    tags = compose_file.tags()
    for each, container in _containers(manifests):
        image, _, tag = container["image"].rpartition(":")
        name = image.rpartition("/")[2]
        if name != "deadspan-lab" and tags.get(name) != tag:
            yield f"{_name(each)}: expected a tag of compose/.env, found {container['image']}"
        if tag in {"", "latest"}:
            yield f"{_name(each)}: expected a tag with a version, found {container['image']}"


def pod_problems(manifests: Iterable[Manifest]) -> Iterator[str]:
    """A container without bounds or probes, or with more rights than it needs."""
    for each, container in _containers(manifests):
        resources = container.get("resources", {})
        if "memory" not in resources.get("limits", {}) or "cpu" not in resources.get(
            "requests", {}
        ):
            yield f"{_name(each)}: expected a request of cpu and a limit of memory"
        confined = container.get("securityContext", {})
        if confined.get("allowPrivilegeEscalation") is not False or not confined.get(
            "readOnlyRootFilesystem"
        ):
            yield f"{_name(each)}: expected no privileges and a file system nobody writes to"
        serves = each["kind"] == "Deployment" and container.get("ports")
        if serves and "readinessProbe" not in container:
            yield f"{_name(each)}: expected a readiness probe"


def service_problems(manifests: Iterable[Manifest]) -> Iterator[str]:
    """A service that is missing, leads nowhere, or has a port that is not the topology's."""
    manifests = list(manifests)
    pods = {
        each["spec"]["template"]["metadata"]["labels"]["app"]
        for each in manifests
        if each["kind"] == "Deployment"
    }
    services = {
        each["metadata"]["name"]: each["spec"] for each in manifests if _is(each, "Service")
    }
    wanted = {own_host(name): {PORTS[name]} for name in SERVICES}
    for edge in EDGES:
        wanted.setdefault(host_name(edge.callee), set()).add(PORTS[edge.name])
    for name, ports in wanted.items():
        found = {port["port"] for port in services.get(name, {}).get("ports", ())}
        if found != ports:
            yield f"Service {name}: expected ports {sorted(ports)}, found {sorted(found)}"
    for name, spec in services.items():
        if spec.get("type") != "ExternalName" and spec["selector"]["app"] not in pods:
            yield f"Service {name}: expected pods of {spec['selector']}, found none"


def reference_problems(manifests: Iterable[Manifest]) -> Iterator[str]:
    """A ConfigMap that is read and not made."""
    manifests = list(manifests)
    made = {each["metadata"]["name"] for each in manifests if _is(each, "ConfigMap")}
    for each, container in _containers(manifests):
        read = [
            source["configMapRef"]["name"]
            for source in container.get("envFrom", ())
            if "configMapRef" in source
        ]
        volumes = each["spec"]["template"]["spec"].get("volumes", ())
        read += [volume["configMap"]["name"] for volume in volumes if "configMap" in volume]
        for name in sorted(set(read) - made):
            yield f"{_name(each)}: expected a ConfigMap {name}, found none"


def all_problems(manifests: list[dict[str, Any]]) -> list[str]:
    """Everything at once."""
    rules = (schema_problems, image_problems, pod_problems, service_problems, reference_problems)
    return [problem for rule in rules for problem in rule(manifests)]


def _containers(manifests: Iterable[Manifest]) -> Iterator[tuple[Manifest, dict[str, Any]]]:
    for each in manifests:
        if each["kind"] in PODS:
            for container in each["spec"]["template"]["spec"]["containers"]:
                yield each, container


def _is(manifest: Manifest, kind: str) -> bool:
    return bool(manifest["kind"] == kind)


def _name(manifest: Manifest) -> str:
    return f"{manifest['kind']} {manifest['metadata']['name']}"
