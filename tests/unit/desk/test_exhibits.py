"""Links of a text lead to what it rests on, once a reader may see that."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

from tests.support.desk_over_memory import DeskUnderTest
from tests.support.recorded_cases import recorded

CASE = recorded("db-timeout")
AT = f"/cases/{CASE.case_id}"


def test_the_pager_message_links_to_its_exhibits_and_they_open(tmp_path: Path) -> None:
    """The number in it is that of the page behind it."""
    desk = DeskUnderTest(tmp_path, CASE)
    room = desk.get(AT).text
    (link,) = re.findall(rf'href="({AT}/exhibits/[a-z-]+)"', room)
    shown = desk.get(link).text
    assert "share of purchases that fail" in shown
    assert "100.0%" in shown
    assert "100% of all purchases" in room
    body = desk.get(f"/api/v1{link}").json()
    assert (body["exhibit"], body["outcome"], body["spans"]) == ("all-fail", "holds", [])


def test_what_the_debrief_rests_on_is_kept_until_the_case_is_closed(tmp_path: Path) -> None:
    """Then each link of it opens, with the spans that show it."""
    desk = DeskUnderTest(tmp_path, CASE)
    for kind in ("", "/api/v1"):
        assert desk.get(f"{kind}{AT}/exhibits/warm-query").status_code == 403
        assert desk.get(f"{kind}{AT}/exhibits/no-such").status_code == 403
    desk.send(f"{AT}/debrief", f"{AT}/give-up")
    story = desk.get(f"{AT}/debrief").text
    links = set(re.findall(rf'href="({AT}/exhibits/[a-z-]+)"', story))
    assert len(links) == len(CASE.scenario.exhibits) - 1
    for link in links:
        answer = desk.get(link)
        assert answer.status_code == 200
    (span,) = desk.get(f"/api/v1{AT}/exhibits/warm-query").json()["spans"][:1]
    shown = desk.get(f"{AT}/exhibits/warm-query").text
    assert f"{AT}/traces/{span[0]}?span={span[1]}" in shown
    assert desk.get(f"{AT}/traces/{span[0]}?span={span[1]}").status_code == 200


def test_an_exhibit_of_the_log_leads_to_its_lines(tmp_path: Path) -> None:
    """Each with its trace, and all of them in the list of lines, filtered as it was asked."""
    case = recorded("hole-in-the-tape")
    at = f"/cases/{case.case_id}"
    desk = DeskUnderTest(tmp_path, case)
    desk.send(f"{at}/debrief", f"{at}/give-up")
    shown = desk.get(f"{at}/exhibits/its-lines").text
    first = desk.get(f"/api/v1{at}/exhibits/its-lines").json()["lines"][0]
    assert f"{at}/traces/{first['trace_id']}?span={first['span_id']}" in shown
    assert desk.get(f"{at}/traces/{first['trace_id']}?span={first['span_id']}").status_code == 200
    (link,) = re.findall(rf'href="({at}/logs[^"]+)"', shown)
    lines = desk.get(unescape(link)).text
    assert first["body"] in unescape(lines)
    assert "charging card" not in lines


def test_the_way_through_grafana_links_to_what_may_be_seen(tmp_path: Path) -> None:
    """What the pager message rests on at once, the rest when the case is closed."""
    case = recorded("parallel-alibi")
    at = f"/cases/{case.case_id}"
    desk = DeskUnderTest(tmp_path, case)
    hidden = f'href="{at}/exhibits/featured-before"'
    room = desk.get(at).text
    assert "was always long" in room.replace("\n", " ")
    assert hidden not in room
    desk.send(f"{at}/debrief", f"{at}/give-up")
    assert hidden in desk.get(at).text
    early = recorded("pool-starvation")
    shown = DeskUnderTest(tmp_path / "other", early).get(f"/cases/{early.case_id}").text
    assert shown.count(f'href="/cases/{early.case_id}/exhibits/crawl"') == 2
