"""What somebody says of an incident that is promoted: by options, in a file, or when asked."""

from __future__ import annotations

import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final, Self

import typer

from lab.domain.mechanism import Scope
from lab.domain.wording import unknown_name
from lab.errors import UsageError
from lab.frozen import dataclass

NEEDED: Final = {
    "name": "what to call the scenario, lower-case words joined by hyphens",
    "trace": "the trace in which the culprit is seen, an id or how it begins",
    "span": "the culprit's span in it, the same",
    "mechanism": "how it did it, a word of `lab mechanisms`",
    "title": "a title that gives nothing away",
    "briefing": "what the pager said, in at most 120 words",
}


@dataclass(frozen=True, slots=True)
class Answers:
    """What somebody says of an incident; None of what was not said."""

    name: str | None = None
    trace: str | None = None
    span: str | None = None
    mechanism: str | None = None
    scope: str | None = None
    title: str | None = None
    briefing: str | None = None
    hints: tuple[str, ...] = ()
    level: int | None = None

    @classmethod
    def of(cls, path: Path) -> Self:
        """Those of a YAML file; UsageError names every field that it may not have."""
        from lab.scenario_file.positioned_yaml import YamlProblem, read

        try:
            document = read(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, YamlProblem) as error:
            raise UsageError(f"{path}: expected YAML that can be read, found: {error}") from error
        found = document.data if isinstance(document.data, dict) else {}
        known = [each.name for each in fields(cls)]
        problems = [unknown_name("field", str(key), known) for key in found if key not in known]
        problems += [
            f"expected {key} to be {'a list of texts' if key == 'hints' else 'a text'}"
            for key, value in found.items()
            if key in known and not _is_answer(key, value)
        ]
        if problems or not found:
            told = "; ".join(problems) or f"expected some of {', '.join(known)}, found none"
            raise UsageError(f"{path}: {told}")
        given: dict[str, Any] = {**found, "hints": tuple(found.get("hints", ()))}
        return cls(**given)

    def over(self, others: Answers) -> Answers:
        """These, and of the others what is not said here."""
        said = {each.name: getattr(self, each.name) for each in fields(self)}
        return replace(others, **{key: value for key, value in said.items() if value})

    def asked(self) -> Answers:
        """With what was missing, asked for; UsageError where there is nobody to ask."""
        missing = {key: what for key, what in NEEDED.items() if not getattr(self, key)}
        if missing and not sys.stdin.isatty():
            told = "; ".join(f"--{key} ({what})" for key, what in missing.items())
            raise UsageError(f"expected {told}; or a terminal to ask at")
        given = {key: typer.prompt(what) for key, what in missing.items()}
        if missing and self.scope is None:
            given["scope"] = typer.prompt("whom it hit", default=Scope.ALL.value)
        return replace(self, **given)


def _is_answer(key: str, value: Any) -> bool:
    if key == "hints":
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    return type(value) is (int if key == "level" else str)
