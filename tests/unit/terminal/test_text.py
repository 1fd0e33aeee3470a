"""Services in colours that stay: the same at every call, in terminal and desk, easy to read."""

from __future__ import annotations

import re

import pytest

from lab.desk.pages import STATIC
from lab.shop.topology import DATABASES, SERVICES
from lab.terminal.text import COLOURS, hue, service_text

SHEET = (STATIC / "desk.css").read_text(encoding="utf-8")
LEAST_CONTRAST = 4.5


def luminance(colour: str) -> float:
    """WCAG 2.2, *relative luminance*."""
    parts = (int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def of_the_sheet(name: str) -> list[str]:
    """What ``--name`` is on light and on dark pages."""
    return re.findall(rf"--{name}:\s*(#[0-9a-f]{{6}})", SHEET)


def test_services_of_the_shop_have_a_colour_each() -> None:
    ours = (*SERVICES, "storefront", *DATABASES, "auditor")
    assert [hue(each) for each in ours] == list(range(len(ours)))
    assert len(COLOURS) == len(ours)


def test_a_stranger_has_the_same_colour_at_every_call_and_on_every_machine() -> None:
    strange = ("кошик", "\ud800", "")
    assert all(0 <= hue(each) < len(COLOURS) for each in strange)
    assert hue("frontend") == 6
    assert len({hue(f"service-{n}") for n in range(200)}) == len(COLOURS)


@pytest.mark.parametrize("background", ["#000000", "#ffffff"])
def test_a_name_in_the_terminal_is_read_on_dark_and_on_light(background: str) -> None:
    assert min(contrast(each, background) for each in COLOURS) >= LEAST_CONTRAST
    assert service_text("frontend").style == f"bold {COLOURS[hue('frontend')]}"
    assert service_text("").plain == "?"


def test_a_colour_of_the_desk_stands_out_from_paper_and_cards() -> None:
    """A swatch is a graphic: 3 to 1 is asked (WCAG 2.2, 1.4.11)."""
    for paper in ("paper", "sheet"):
        for place, ground in enumerate(of_the_sheet(paper)[:2]):
            for number in range(len(COLOURS)):
                assert contrast(of_the_sheet(f"hue-{number}")[place], ground) >= 3
