"""Who may ask the desk, and what a browser may do with its answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.routing import Route

from lab.desk.app import ROUTERS
from tests.support.desk_over_memory import HERE, DeskUnderTest
from tests.support.sample_case import sample_case


@pytest.fixture
def desk(tmp_path: Path) -> DeskUnderTest:
    return DeskUnderTest(tmp_path, sample_case())


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "desk.example.com"},
        {"host": "127.0.0.1.example.com:18123"},
        {"origin": "http://shop.example.com"},
        {"origin": "null"},
    ],
)
def test_pages_of_other_sites_are_refused(desk: DeskUnderTest, headers: dict[str, str]) -> None:
    """A foreign name for this machine, or a foreign origin, gets no page and no header less."""
    answer = desk.get("/", headers=headers)
    assert answer.status_code == 403
    assert "default-src 'self'" in answer.headers["content-security-policy"]


def test_its_own_pages_are_not(desk: DeskUnderTest) -> None:
    """By address or by name, and with the origin its own forms carry."""
    assert desk.get("/", headers={"host": "localhost:18123"}).status_code == 200
    assert desk.get("/", headers={"origin": HERE}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/accuse", "/static/desk.css", "/nowhere"])
def test_no_answer_lets_a_browser_load_from_elsewhere(desk: DeskUnderTest, path: str) -> None:
    """Every answer says so, be it a page, a file or an error."""
    headers = desk.get(path).headers
    assert headers["content-security-policy"].startswith("default-src 'self'")
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("path", "status"),
    [("/cases/db-timeout-9/accuse", 404), ("/cases/..%2f..%2fetc/accuse", 404), ("/nowhere", 404)],
)
def test_what_is_not_there_is_said_on_a_page(desk: DeskUnderTest, path: str, status: int) -> None:
    """The right status, and the way back."""
    answer = desk.get(path)
    assert answer.status_code == status
    assert 'href="/"' in answer.text


def test_a_form_has_its_limits(desk: DeskUnderTest) -> None:
    """64 KiB are enough for any accusation."""
    answer = desk.post("/cases/db-timeout-1/accuse", data={"suspect": "x" * 100_000})
    assert answer.status_code == 413


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_nothing_is_noted_of_what_another_page_asks(desk: DeskUnderTest, site: str) -> None:
    """A link or an image of a foreign page carries no origin; browsers say where it stands.

    A page of another port of this machine is one of the same site.
    """
    case = sample_case()
    trace_id = next(iter(case.evidence.traces))
    values = {"case_id": case.case_id, "trace_id": trace_id, "number": 1}
    span_id = case.evidence.traces[trace_id].spans[0].span_id
    addresses = [
        route.path.format(**values, span_id=span_id, name="all-fail")
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, Route) and "GET" in (route.methods or ()) and "{case" in route.path
    ]
    noted = []
    for address in addresses:
        before = desk.archive.records(case.case_id)
        answer = desk.get(address, headers={"sec-fetch-site": site})
        assert desk.archive.records(case.case_id) == before, address
        desk.get(address, headers={"sec-fetch-site": "same-origin"})
        if desk.archive.records(case.case_id) != before:
            noted.append(address)
            assert answer.status_code == 403, address
    assert len(noted) >= 4
