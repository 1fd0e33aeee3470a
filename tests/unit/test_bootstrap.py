"""What the composition root hands to whom."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab import bootstrap
from lab.commands.run import scenario_named
from lab.domain.join import Join
from lab.domain.record import RecordQuery, Source
from lab.errors import UsageError
from lab.settings import Settings
from lab.shop.keeper import secret


def test_a_scenario_that_needs_traceql_says_so_where_none_is_spoken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the part that is beyond predicates, of a join or of a record, before anything runs."""
    jaeger = Settings(state_dir=tmp_path, store="jaeger")
    known = bootstrap.scenarios(jaeger)
    assert {bootstrap.searches_beyond(jaeger, each) for each in known.values()} == {""}
    joined, kept = known["cut-thread"], known["hole-in-the-tape"]
    join = replace(joined.truth, joins=(Join("{ duration > 3s }", on="order_id"),))
    slow = {"slow": RecordQuery(Source.TRACES, '{ name =~ "a.*" }')}
    beyond = {
        "{ duration > 3s }": replace(joined, truth=join),
        'name =~ "a.*"': replace(kept, observation=replace(kept.observation, records=slow)),
    }
    for part, scenario in beyond.items():
        assert bootstrap.searches_beyond(jaeger, scenario) == part
        assert bootstrap.searches_beyond(Settings(state_dir=tmp_path), scenario) == ""
        monkeypatch.setattr(bootstrap, "scenarios", lambda _, one=scenario: {one.id: one})
        with pytest.raises(UsageError, match=r"expected STORE=tempo for .*TraceQL.*STORE=jaeger"):
            scenario_named(jaeger, scenario.id)


@pytest.mark.parametrize(
    ("in_file", "in_environment", "told"),
    [("own", "", "own"), (None, "given", "given"), ("own", "given", "own"), (None, "", None)],
)
def test_the_warden_asks_for_the_secret_of_its_file_or_of_its_container(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    in_file: str | None,
    in_environment: str,
    told: str | None,
) -> None:
    """A container has it in its environment; without any the warden asks for none."""
    settings = Settings(state_dir=tmp_path)
    settings.run_dir.mkdir()
    settings.log_dir.mkdir()
    assert settings.secret_file is not None
    if in_file is not None:
        settings.secret_file.write_text(in_file)
    monkeypatch.setenv(secret.VARIABLE, in_environment)
    served: list[Any] = []
    monkeypatch.setattr("lab.warden.app.serve", lambda *given: served.extend(given))
    bootstrap.serve_warden(settings)
    assert (served[-1] or None) == told
