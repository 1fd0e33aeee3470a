"""Commands for who writes cases: new, schema."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from lab import umask
from lab.commands.common import console, lab_command
from lab.errors import UsageError
from lab.settings import CHECKOUT, Settings

TEMPLATE: Final = CHECKOUT / "scenarios" / "_template"
"""A case that lints and can be proven, to be changed piece by piece."""


def new(
    name: Annotated[str, typer.Argument(help="Lower-case words joined by hyphens.")],
) -> None:
    """Make a scenario's folder that lints and can be proven, to be made into your own."""
    from lab import scenario_file

    folder = Settings().scenarios_dir / name
    files = (*scenario_file.FILES, scenario_file.GRAFANA)
    texts = {file: (TEMPLATE / file).read_text(encoding="utf-8") for file in files}
    scenario_file.parse(texts, name)  # The name becomes a path, so nothing else may get through.
    try:
        with umask.asked_for():
            folder.mkdir(parents=True)
            for file, text in texts.items():
                (folder / file).write_text(text, encoding="utf-8", newline="\n")
    except FileExistsError as error:
        raise UsageError(
            f"expected no {folder} yet, found one; choose another name, or change what is there"
        ) from error
    console.print(f"{folder} is ready to be changed. Next:", soft_wrap=True)
    for words in (f"lint {name}", f"verify {name} --twins --explain", f"record {name}"):
        console.print(f"  {lab_command()} {words}")


def schema(
    case_file: Annotated[bool, typer.Option("--case-file", help="That of a case file.")] = False,
) -> None:
    """Print the JSON Schema of `scenario.yaml`, from which editors complete."""
    from lab.adapters.cases.manifest import case_file_schema
    from lab.scenario_file import json_schema

    typer.echo(case_file_schema() if case_file else json_schema(), nl=False)
