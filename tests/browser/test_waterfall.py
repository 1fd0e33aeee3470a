"""The waterfall keeps its promises to eyes, ears, keys and memory."""

from __future__ import annotations

import dataclasses
import re

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from lab.adapters.cases.archive import FolderArchive
from lab.adapters.otlp.traces import assemble
from lab.domain.case import Case
from lab.domain.evidence import Sample
from lab.domain.trace import Event, Span
from tests.browser.conftest import CASE, RunningDesk
from tests.browser.waterfall import focused, open_trace, row, wait_until_drawn
from tests.support.sample_case import sample_case, span, span_id

EVIL = "<img src=x onerror=\"document.title='hacked'\"><script>document.title='hacked'</script>"
TRACE = "01bb" * 8
SAMPLE = "db-timeout-2"


def with_spans(spans: list[Span]) -> Case:
    """A case with a trace of these spans."""
    case = sample_case(SAMPLE)
    traces = {**case.evidence.traces, TRACE: assemble(TRACE, spans)}
    return dataclasses.replace(case, evidence=dataclasses.replace(case.evidence, traces=traces))


def many(number: int) -> list[Span]:
    """So many spans, up to 150 below each other, every seventh of them slow or failed."""
    return [
        span(
            TRACE,
            n,
            None if n == 0 else n - 1 if n % 150 else 0,
            f"svc{n % 9} step {n}",
            (n, n + 40),
        )
        for n in range(number)
    ]


def recorded(desk: RunningDesk) -> Case:
    return FolderArchive(desk.state_dir / "cases").load(CASE)


def test_a_link_leads_to_the_exact_span(page: Page, desk: RunningDesk) -> None:
    """Focused, in sight, its details open; an unknown one is said to be unknown."""
    trace = recorded(desk).evidence.whole_traces(Sample.REFERENCE)[0]
    last = list(trace)[-1]
    open_trace(page, desk, trace.trace_id, f"?span={last.span_id}")
    expect(page.locator("[role=row]:focus")).to_be_in_viewport()
    assert focused(page).startswith(f"{last.service} {last.name}")
    expect(page.get_by_role("region", name="Details of a span")).to_contain_text(last.name)
    open_trace(page, desk, trace.trace_id, "?span=ffffffffffffffff")
    expect(page.locator("#found")).to_contain_text("no span ffffffffffffffff")


def test_a_reload_keeps_the_place(page: Page, desk: RunningDesk) -> None:
    """What is sought, shown, closed, marked and focused stands in the address."""
    trace = recorded(desk).evidence.whole_traces(Sample.REFERENCE)[0]
    open_trace(page, desk, trace.trace_id)
    page.locator("#find").fill("SELECT")
    page.get_by_role("button", name="Critical path").click()
    page.get_by_role("button", name="Wire").click()
    row(page, "auth GET /session").click()
    page.keyboard.press("ArrowLeft")
    before = page.get_by_role("treegrid").aria_snapshot()
    page.wait_for_url(re.compile("q=SELECT.*closed=|closed=.*q=SELECT"))
    page.reload()
    wait_until_drawn(page)
    assert page.get_by_role("treegrid").aria_snapshot() == before
    assert "auth GET /session" in focused(page)
    expect(page.locator("#find")).to_have_value("SELECT")
    expect(page.get_by_role("button", name="Critical path")).to_have_attribute(
        "aria-pressed", "true"
    )
    expect(page.get_by_role("button", name="Wire")).to_have_attribute("aria-pressed", "false")


def test_a_choice_hides_the_rest_and_keeps_the_callers(page: Page, desk: RunningDesk) -> None:
    """Of errors: the failed spans and who called them, and how many rows that are."""
    code = recorded(desk).support_code
    assert code
    open_trace(page, desk, code)
    page.locator("#show").select_option("errors")
    names = page.locator("#rows [role=row]").evaluate_all("rows => rows.map(row => row.ariaLabel)")
    assert names
    assert all("error" in name or "fails" in name for name in names)
    expect(page.locator("#found")).to_contain_text(f"{len(names)} of ")


def test_only_what_is_seen_of_ten_thousand_rows_is_in_the_document(
    page: Page, desk: RunningDesk
) -> None:
    """At most 200, wherever one scrolls; and the focused row is never taken away."""
    desk.add(with_spans(many(10_000)))
    open_trace(page, desk, TRACE, case=SAMPLE)
    rows = page.locator("#rows [role=row]")
    row(page, "svc0 step 0").focus()
    page.locator("#grid").evaluate("grid => grid.scrollTo(0, 100000)")
    page.wait_for_function("document.querySelectorAll('#rows [role=row]').length > 20")
    assert rows.count() <= 200
    assert "svc0 step 0" in focused(page)
    page.keyboard.press("End")
    expect(page.locator("[role=row]:focus")).to_be_in_viewport()
    assert rows.count() <= 200
    page.locator("#find").fill("step 7777")
    page.keyboard.press("Enter")
    assert "step 7777" in focused(page)
    expect(page.locator("[role=row]:focus")).to_have_attribute("aria-level", re.compile(r"\d+"))


SHIFTS = """() => {
  window.shifts = 0;
  new PerformanceObserver((list) => {
    for (const each of list.getEntries()) if (!each.hadRecentInput) window.shifts += each.value;
  }).observe({ type: "layout-shift", buffered: true });
}"""


@pytest.mark.parametrize("query", ["", "?span={last}", "?depth=2&repeats=fold&q=SELECT&show=found"])
def test_the_servers_rows_stay_until_the_script_has_its_own(
    page: Page, desk: RunningDesk, query: str
) -> None:
    """With its data two seconds late there are rows to read, and nothing moves when it comes."""
    code = recorded(desk).support_code
    assert code
    last = list(recorded(desk).evidence.traces[code])[-1]
    late: list[Route] = []
    page.add_init_script(f"({SHIFTS})()")

    def hold(route: Route) -> None:
        late.append(route)

    page.route("**/waterfall", hold)
    page.goto(desk.path(CASE, "traces", code) + query.format(last=last.span_id))
    expect(page.locator("#plain tbody tr").first).to_be_in_viewport()
    page.wait_for_timeout(2_000)
    expect(page.locator("#plain tbody tr").first).to_be_in_viewport()
    expect(page.locator("#grid")).to_be_hidden()
    assert page.evaluate("window.shifts") <= 0.02
    late[0].continue_()
    wait_until_drawn(page)
    expect(page.locator("#plain")).to_have_count(0)
    page.wait_for_timeout(300)
    assert page.evaluate("window.shifts") <= 0.02


def test_rows_fill_their_pane_before_the_script_draws_its_own(
    page: Page, desk: RunningDesk
) -> None:
    """However tall the window is; those that nobody would see are not laid out."""
    desk.add(with_spans(many(150)))
    page.set_viewport_size({"width": 1280, "height": 3_000})
    page.route("**/waterfall", lambda _: None)
    page.goto(desk.path(SAMPLE, "traces", TRACE))
    expect(page.locator("#plain tbody tr").first).to_be_visible()
    assert page.locator("#plain").evaluate("(pane) => pane.scrollHeight > pane.clientHeight")
    assert page.locator("#plain tbody tr:visible").count() < 100


def test_a_page_without_a_script_is_whole(chromium: Browser, desk: RunningDesk) -> None:
    """The table as long as it is, and none of the tools that only a script could obey."""
    desk.add(with_spans(many(150)))
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(desk.path(SAMPLE, "traces", TRACE))
    expect(page.locator("#plain tbody tr")).to_have_count(150)
    expect(page.locator("#plain tbody tr").last).to_be_visible()
    expect(page.locator("#tools")).to_be_hidden()
    expect(page.get_by_label("Marks")).to_be_visible()
    context.close()


def test_a_drag_in_the_overview_sees_a_stretch(page: Page, desk: RunningDesk) -> None:
    """And so do the keys; the address keeps it, and no mark leaves its column."""
    trace = recorded(desk).evidence.whole_traces(Sample.REFERENCE)[0]
    open_trace(page, desk, trace.trace_id)
    whole = page.locator("#axis").inner_text()
    strip = page.locator("#overview").bounding_box()
    assert strip
    page.mouse.move(strip["x"] + strip["width"] * 0.25, strip["y"] + 10)
    page.mouse.down()
    page.mouse.move(strip["x"] + strip["width"] * 0.5, strip["y"] + 10, steps=3)
    page.mouse.up()
    page.wait_for_url(re.compile("view="))
    dragged = page.locator("#axis").inner_text()
    assert dragged != whole
    assert astray(page) == []
    row(page, "storefront").focus()
    page.keyboard.press("f")
    assert page.locator("#axis").inner_text() == whole
    for key in ("+", "+", "Shift+ArrowRight", "-", "z"):
        page.keyboard.press(key)
        assert astray(page) == [], key
    page.keyboard.press("+")
    zoomed = page.locator("#axis").inner_text()
    page.wait_for_timeout(200)
    page.reload()
    wait_until_drawn(page)
    assert page.locator("#axis").inner_text() == zoomed


def astray(page: Page) -> list[str]:
    """The marks of which more than a symbol's half is seen outside the column of time."""
    found: list[str] = page.evaluate("""() => [...document.querySelectorAll('#rows .c-time')]
      .flatMap((cell) => {
        const box = cell.getBoundingClientRect();
        const clips = getComputedStyle(cell).overflow === 'hidden';
        return [...cell.children].filter((each) => {
          const it = each.getBoundingClientRect();
          return it.width && (!clips || it.left < box.left - 4 || it.right > box.right + 4);
        }).map((each) => each.className);
      })""")
    return found


def test_repeats_are_folded_and_levels_closed(page: Page, desk: RunningDesk) -> None:
    """By keys; what is sought inside a fold opens it, and the number folded is told."""
    calls = [span(TRACE, n, 0, "svc1 call", (n, n + 1)) for n in range(1, 41)]
    desk.add(with_spans([span(TRACE, 0, None, "svc0 root", (0, 42)), *calls]))
    open_trace(page, desk, TRACE, case=SAMPLE)
    rows = page.locator("#rows [role=row]")
    row(page, "svc0 root").focus()
    page.keyboard.press("r")
    expect(row(page, "svc1 call, 40 of them, 40.0ms together")).to_be_visible()
    expect(row(page, "svc1 call")).to_contain_text("×40")
    assert rows.count() == 2
    page.keyboard.press("1")
    expect(rows).to_have_count(1)
    expect(page.locator("#depth")).to_have_value("1")
    page.keyboard.press("ArrowRight")
    expect(rows).to_have_count(2)
    page.wait_for_url(re.compile("repeats=fold&depth=1&closed=0"))
    page.reload()
    wait_until_drawn(page)
    expect(rows).to_have_count(2)
    row(page, "svc0 root").focus()
    page.keyboard.press("/")
    page.keyboard.type(calls[-1].span_id)
    page.keyboard.press("Enter")
    assert "svc1 call" in focused(page)
    assert rows.count() > 20


def test_self_times_stay_beside_the_details(page: Page, desk: RunningDesk) -> None:
    """They are what one compares while one reads."""
    code = recorded(desk).support_code
    assert code
    open_trace(page, desk, code)
    row(page, "auth SELECT").click()
    expect(page.locator("#span-title")).to_be_visible()
    expect(page.locator("#grid .head .c-self")).to_be_visible()
    expect(row(page, "auth SELECT").locator(".c-self")).to_be_visible()


def test_html_in_a_trace_is_never_run(page: Page, desk: RunningDesk) -> None:
    """Not in the grid, nor in the details, the twin, the map or the accusation."""
    hurt = span(
        TRACE, 1, None, f"{EVIL.split()[0]} {EVIL}", (0, 5),
        attributes={EVIL: EVIL, "service.peer.name": EVIL},
        events=(Event("exception", 0, {"exception.type": EVIL, "exception.stacktrace": EVIL}),),
    )  # fmt: skip
    desk.add(with_spans([hurt]))
    open_trace(page, desk, TRACE, f"?span={hurt.span_id}", case=SAMPLE)
    expect(page.get_by_role("region", name="Details of a span")).to_contain_text("onerror")
    assert page.title() != "hacked"
    for path in (
        (SAMPLE, "map"),
        (SAMPLE, "traces", TRACE, "twin"),
        (SAMPLE, "traces", TRACE, "flame"),
        (SAMPLE, "traces", TRACE, "spans", hurt.span_id),
    ):
        page.goto(desk.path(*path))
        assert page.title() != "hacked"
        assert page.locator("main img").count() == 0


def test_wild_traces_are_drawn(page: Page, desk: RunningDesk) -> None:
    """A cycle, an orphan, clocks apart, a clock that went back: rows, and words for each."""
    wild = [
        span(TRACE, 1, 2, "auth a", (0, 5)),
        span(TRACE, 2, 1, "auth b", (9, 3)),
        span(TRACE, 3, 99, "gateway orphan", (100, 200)),
        span(TRACE, 4, 3, "auth early", (50, 120)),
    ]
    desk.add(with_spans(wild))
    open_trace(page, desk, TRACE, case=SAMPLE)
    assert page.get_by_role("row", name="step").count() == 0
    expect(row(page, f"parent {span_id(TRACE, 99)} never came")).to_be_visible()
    expect(page.locator("main")).to_contain_text("clocks apart by 50.0ms at least")


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_reaches_beyond_a_narrow_screen(page: Page, desk: RunningDesk, width: int) -> None:
    """What is wider scrolls inside its own box."""
    page.set_viewport_size({"width": width, "height": 760})
    code = recorded(desk).support_code
    assert code
    for path in (
        (CASE,), (CASE, "map"), (CASE, "hints"), (CASE, "accuse"), (CASE, "traces", code),
        (CASE, "traces", code, "twin"), (CASE, "traces", code, "flame"),
        (CASE, f"accuse?suspect={code}+{list(recorded(desk).evidence.traces[code])[-1].span_id}"),
    ):  # fmt: skip
        page.goto(desk.path(*path))
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, (path, wide)
