"""Runs this interpreter's pip with where a user gets packages from, and no other setting of theirs.

`user`, `target`, `prefix` and a dozen more would put packages elsewhere or leave some out;
index, proxy, certificates and cache are the user's to choose. A variable cannot undo what
pip's configuration says, so pip reads none, and what is kept of it becomes variables.
Called like pip itself, by `install.sh` and where the lab installs a Go.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping

SOURCES = ("index-url", "extra-index-url", "no-index", "find-links", "trusted-host")
WAYS = ("proxy", "cert", "client-cert", "keyring-provider", "timeout", "default-timeout", "retries")
KEPT = {
    key: f"PIP_{key.upper().replace('-', '_')}"
    for key in (*SOURCES, *WAYS, "cache-dir", "no-cache-dir")
}
"""Setting → the variable that says the same."""


def plain(environment: Mapping[str, str], listed: Iterable[str]) -> dict[str, str]:
    """``environment`` for a pip that reads no configuration and only the kept variables.

    ``listed`` are the lines of `pip config list`, such as ``global.index-url='https://…'``. As
    pip has it, a variable goes before them, and what they say of `install` before the rest.
    """
    lines = [line.partition("=") for line in listed]
    said = {
        KEPT[key]: str(ast.literal_eval(value))
        for wanted in ("global", "install")
        for section, key, value in ((*name.partition(".")[::2], value) for name, _, value in lines)
        if section == wanted and key in KEPT
    }
    own = {name: environment[name] for name in KEPT.values() if environment.get(name)}
    return {**without_pips(environment), **said, **own, "PIP_CONFIG_FILE": os.devnull}


def without_pips(environment: Mapping[str, str]) -> dict[str, str]:
    """``environment`` without the variables that set an option of pip."""
    return {name: value for name, value in environment.items() if not name.startswith("PIP_")}


def main() -> None:
    """Become ``pip ARGUMENTS``; where its configuration cannot be read, pip says why."""
    pip = [sys.executable, "-m", "pip"]
    place = {name: os.environ[name] for name in ("PIP_CONFIG_FILE",) if name in os.environ}
    done = subprocess.run(
        [*pip, "config", "list"],
        env={**without_pips(os.environ), **place},
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode != 0:
        sys.exit(done.returncode)
    environment = plain(os.environ, done.stdout.splitlines())
    os.execve(sys.executable, [*pip, *sys.argv[1:]], environment)  # noqa: S606 -- it is to be pip


if __name__ == "__main__":
    main()
