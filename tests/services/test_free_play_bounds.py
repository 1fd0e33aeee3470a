"""Free play's own Locust takes no more users than it was told, whoever asks for them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from lab.adapters.free_play import free_play_command
from lab.load.most import MOST_VARIABLE
from lab.settings import Settings
from lab.shop.topology import HOST
from tests.support.stub_shop import stub_shop
from tests.support.warden_parts import free_ports, wait_until

MOST = 2
TOO_MANY = MOST + 1
"""If the bound did not hold, so few would do no harm."""


@contextmanager
def locust(folder: Path, shop: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Free play that bears `MOST` users of ``shop``, which takes their spans as well."""
    play = free_play_command(Settings(), ("--host", shop, *arguments))
    environment = {
        **play.environment,
        MOST_VARIABLE: str(MOST),
        "OTEL_EXPORTER_OTLP_ENDPOINT": shop,
    }
    process = subprocess.Popen(
        play.argv, env=environment, cwd=folder, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=20)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Locust's page."""
    [port] = free_ports(1)
    folder = tmp_path_factory.mktemp("page")
    with (
        stub_shop() as shop,
        locust(folder, shop.url, "--web-port", str(port)),
        httpx.Client(base_url=f"http://{HOST}:{port}", trust_env=False, timeout=5) as client,
    ):

        def is_up() -> bool:
            try:
                return client.get("/").status_code == 200
            except httpx.HTTPError:
                return False

        wait_until(is_up, "Locust's page")
        yield client


def users(page: httpx.Client) -> int:
    return int(page.get("/stats/requests").json()["user_count"])


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"user_count": str(TOO_MANY)}, "expected 1 to 2 users, which is what this machine bears"),
        ({"user_count": "0"}, "expected 1 to 2 users"),
        ({"user_count": "-1"}, "expected 1 to 2 users"),
        ({"spawn_rate": "1000"}, "expected more than 0 to 2 users a second to start"),
        ({"spawn_rate": "nan"}, "expected more than 0 to 2 users a second to start"),
        ({"spawn_rate": "many"}, "must be a number"),
    ],
)
def test_the_page_says_what_is_wrong_with_its_form(
    page: httpx.Client, form: dict[str, str], told: str
) -> None:
    """Where Locust shows its own refusals, and nobody starts."""
    answer = page.post("/swarm", data={"user_count": "1", "spawn_rate": "1", **form}).json()
    assert answer["success"] is False
    assert told in answer["message"]
    assert users(page) == 0


def test_as_many_as_it_bears_may_start(page: httpx.Client) -> None:
    """From the page, as ever."""
    answer = page.post("/swarm", data={"user_count": str(MOST), "spawn_rate": "2"}).json()
    assert answer["success"] is True, answer
    wait_until(lambda: users(page) == MOST, "both users")
    page.post("/stop")


def test_a_file_of_settings_is_bounded_too(tmp_path: Path) -> None:
    """Locust reads one from the folder it starts in; it ends, since nobody could start."""
    (tmp_path / "locust.conf").write_text(f"users = {TOO_MANY}\nspawn-rate = 1\n")
    with stub_shop() as shop, locust(tmp_path, shop.url, "--headless", "--only-summary") as process:
        _, told = process.communicate(timeout=30)
    assert "expected 1 to 2 users, which is what this machine bears, got 3" in told
    assert "Traceback" not in told
