"""What a compose file of the lab has to keep: each rule is a function from it to what it breaks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

import jsonschema

from lab.adapters.stack import compose_file
from lab.shop.topology import DATABASES, EDGES, PORTS, SERVICES, host_name, own_host

MOST_MEMORY_MIB = 3 * 1024
_ADDRESS = re.compile(r"(?<![\w.-])(?P<host>[a-z][a-z-]*):(?P<port>18\d{3})\b")
_MEMORY = re.compile(r"(\d+)m")

Document = Mapping[str, Any]


def schema_problems(document: Document, schema_file: str = "compose-spec.json") -> Iterator[str]:
    """What the Compose specification's own schema says; the package check-jsonschema carries it."""
    folder = resources.files("check_jsonschema.builtin_schemas.vendor")
    schema = json.loads((folder / schema_file).read_text(encoding="utf-8"))
    validator = jsonschema.validators.validator_for(schema)(schema)
    for error in validator.iter_errors(document):
        yield f"{'.'.join(map(str, error.absolute_path))}: {error.message}"


def image_problems(document: Document, tags: Mapping[str, str]) -> Iterator[str]:
    """Images that are not pinned in the one file that pins them."""
    for name, service in document["services"].items():
        image = service.get("image", "")
        if "build" in service:
            continue
        if not re.fullmatch(r"\$\{[A-Z]+_IMAGE\}", image):
            yield f"{name}: expected an image by its variable, found {image!r}"
    for name, tag in tags.items():
        if not re.search(r"\d+\.\d+", tag):
            yield f"{name}: expected a tag with a version, found {tag!r}"


def port_problems(document: Document) -> Iterator[str]:
    """Ports that more than this machine could reach, or that are not the topology's."""
    known = {PORTS[name] for name in compose_file.published_ports()} | {16686}
    for name, service in document["services"].items():
        for port in service.get("ports", ()):
            match = re.fullmatch(r"127\.0\.0\.1:\$\{LAB_(\w+)_PORT:-(\d+)\}:(\d+)", str(port))
            if match is None:
                yield f"{name}: expected 127.0.0.1:${{LAB_…_PORT:-n}}:n, found {port}"
            elif match[2] != match[3] or int(match[3]) not in known:
                yield f"{name}: expected a published port of the topology, found {port}"
        if service.get("ports") and "host" not in service.get("networks", ()):
            yield f"{name}: expected it on the network `host`, or its ports are not published"


def memory_problems(document: Document, profiles: frozenset[str]) -> Iterator[str]:
    """A container without a limit, and limits that are too much together."""
    total = 0
    for name, service in document["services"].items():
        if service.get("profiles") and not profiles & set(service["profiles"]):
            continue
        limit = _MEMORY.fullmatch(str(service.get("mem_limit", "")))
        if limit is None:
            yield f"{name}: expected a mem_limit in m, found {service.get('mem_limit')!r}"
        else:
            total += int(limit[1])
    if total > MOST_MEMORY_MIB:
        yield f"expected at most {MOST_MEMORY_MIB} MiB for all, found {total}"


def health_problems(document: Document) -> Iterator[str]:
    """A container nobody can ask whether it is well, or started before what it needs."""
    for name, service in document["services"].items():
        if not service.get("healthcheck", {}).get("test"):
            yield f"{name}: expected a health check"
        needs = service.get("depends_on", {})
        for other, how in needs.items() if isinstance(needs, Mapping) else ((n, {}) for n in needs):
            if how.get("condition") != "service_healthy":
                yield f"{name}: expected to wait for {other} by service_healthy, found {how}"


def network_problems(document: Document) -> Iterator[str]:
    """A proxy not under its callee's name, or somebody else beside it under the same."""
    services = document["services"]
    aliases = services["toxiproxy"]["networks"]["shop"].get("aliases", [])
    callees = {host_name(edge.callee) for edge in EDGES}
    if set(aliases) != callees:
        yield f"toxiproxy: expected to be called {sorted(callees)}, found {sorted(aliases)}"
    for name in callees & set(services):
        yield f"{name}: expected no service of that name, for calls to it would miss its proxy"
    for name in ("shop", "signals"):
        if not document["networks"][name].get("internal"):
            yield f"network {name}: expected it to be internal"


def service_problems(document: Document) -> Iterator[str]:
    """A service of the shop that is missing, is another, or is asked at another's port."""
    for service in SERVICES:
        name = own_host(service)
        found = document["services"].get(name)
        if found is None:
            yield f"{name}: expected the service {service}, found none"
            continue
        if found["command"][-1] != service:
            yield f"{name}: expected to run {service}, found {found['command']}"
        asked = found["healthcheck"]["test"][2]
        if asked != str(PORTS[service]):
            yield f"{name}: expected its health at {PORTS[service]}, found {asked}"


def address_problems(document: Document) -> Iterator[str]:
    """An address in an environment or a command that no container has."""
    hosts = {*document["services"], *(host_name(callee) for callee in DATABASES)}
    ports = set(PORTS.values())
    for name, service in document["services"].items():
        texts = [*service.get("environment", {}).values(), *service.get("command", ())]
        for match in (match for text in texts for match in _ADDRESS.finditer(str(text))):
            if match["host"] not in hosts or int(match["port"]) not in ports:
                yield f"{name}: expected an address of the topology, found {match[0]}"


def variable_problems(document: Document) -> Iterator[str]:
    """A variable that a mounted configuration file needs and its container does not have."""
    for name, service in document["services"].items():
        given = set(service.get("environment", {}))
        for volume in service.get("volumes", ()):
            folder = compose_file.FOLDER / str(volume).partition(":")[0]
            mounted = "/etc/deadspan" in str(volume) and folder.is_dir()
            for file in sorted(folder.glob("*.yaml")) if mounted else ():
                text = re.sub(r"(?m)^\s*#.*$", "", file.read_text(encoding="utf-8"))
                needed = set(re.findall(r"\$\{(?:env:)?([A-Z_]+)\}", text))
                for variable in sorted(needed - given):
                    yield f"{name}: expected {variable}, which {file.name} needs"


def all_problems(document: Document) -> list[str]:
    """Everything at once, for the file as it is without a profile."""
    return [
        *schema_problems(document),
        *image_problems(document, compose_file.tags()),
        *port_problems(document),
        *memory_problems(document, frozenset()),
        *health_problems(document),
        *network_problems(document),
        *service_problems(document),
        *address_problems(document),
        *variable_problems(document),
    ]
