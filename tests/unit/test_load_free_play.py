"""The command line behind free play."""

from __future__ import annotations

import pytest

from lab.adapters.locust_load import FreePlay, free_play_command


def command(*arguments: str, users: int | None = None) -> FreePlay:
    return free_play_command(
        arguments,
        users=users,
        gateway_url="http://127.0.0.1:18100",
        otlp_endpoint="http://127.0.0.1:18118",
        web_port=18124,
        master_port=18125,
    )


def value(play: FreePlay, option: str) -> str | None:
    """The value of ``option``, None where it is not given."""
    if option not in play.argv:
        return None
    return play.argv[play.argv.index(option) + 1]


def test_the_web_ui_is_on_loopback_and_on_the_labs_port() -> None:
    """Free play opens Locust's own page and nothing to the network."""
    play = command(users=5)

    assert (value(play, "--web-host"), value(play, "--web-port")) == ("127.0.0.1", "18124")
    assert value(play, "--host") == "http://127.0.0.1:18100"
    assert (value(play, "--users"), value(play, "--spawn-rate")) == ("5", "5")
    assert play.environment["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://127.0.0.1:18118"


def test_other_arguments_go_through_last() -> None:
    """So they win over the lab's own."""
    play = command("--headless", "--run-time", "1m")

    assert play.argv[-3:] == ("--headless", "--run-time", "1m")
    assert value(play, "--web-port") is None
    assert value(play, "--users") is None


def test_a_worker_finds_the_master_of_this_checkout() -> None:
    """Master and workers meet on the lab's port, so two checkouts do not mix."""
    assert value(command("--master"), "--master-bind-port") == "18125"
    assert value(command("--worker"), "--master-port") == "18125"
    assert value(command("--worker", users=5), "--users") is None


def test_settings_for_others_do_not_reach_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sampler meant for another service would drop the roots."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")

    assert "OTEL_TRACES_SAMPLER" not in command().environment
