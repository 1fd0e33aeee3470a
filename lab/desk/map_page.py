"""The map of a case: who calls whom, before and in the incident. From spans alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from lab.desk.desk import OpenFile, TheDesk
from lab.desk.guard import check_site
from lab.desk.pages import page
from lab.desk.trace_page import Assist
from lab.investigation.reading.service_map import Figures, MapEdge, MapService
from lab.investigation.reading.strangers import map_of, map_shown

router = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/api/v1", tags=["map"])

_BOX: Final = (150, 44)
_STEP: Final = (235, 74)
_MARGIN: Final = 14

SLOWER: Final = 1.5
"""From this many times the median of before on an arrow is drawn as slower."""


@dataclass(frozen=True, slots=True)
class Node:
    """A service's box in the drawing."""

    service: MapService
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Arrow:
    """An edge as an SVG path, with what became of it in a word."""

    edge: MapEdge
    path: str
    x: float
    y: float
    change: str


@router.get("/cases/{case_id}/map", dependencies=[Depends(check_site)])
def map_page(request: Request, case: OpenFile, desk: TheDesk) -> HTMLResponse:
    """Draw the map; the table below it says the same."""
    desk.solving.note_assist(case.case_id, Assist.MAP)
    found = map_shown(case)
    nodes = _nodes(found.services)
    boxes = {node.service.name: node for node in nodes}
    context = {
        "case": case,
        "here": "map",
        "map": found,
        "nodes": nodes,
        "arrows": [_arrow(edge, boxes) for edge in found.edges],
        "width": max((node.x for node in nodes), default=0) + _BOX[0] + _MARGIN,
        "height": max((node.y for node in nodes), default=0) + _BOX[1] + _MARGIN,
        "box": _BOX,
        "change_of": change_of,
    }
    return page(request, "map.html", context)


@api.get("/cases/{case_id}/map", dependencies=[Depends(check_site)])
def map_json(case: OpenFile) -> dict[str, Any]:
    """Services and edges with calls a request, share of errors, p50 and p95 in ms, twice."""
    return asdict(map_of(case))


def change_of(before: Figures | None, during: Figures | None) -> str:
    """``new``, ``gone``, ``failing``, ``slower`` or nothing: the worst that can be said."""
    if before is None or during is None:
        return "new" if during else "gone" if before else ""
    if during.error_share > before.error_share + 0.05:
        return "failing"
    return "slower" if during.p50_ms > SLOWER * before.p50_ms and during.p50_ms > 1 else ""


def _nodes(services: Sequence[MapService]) -> list[Node]:
    nodes = []
    for layer, members in groupby(services, key=lambda each: each.layer):
        for n, service in enumerate(members):
            nodes.append(Node(service, _MARGIN + layer * _STEP[0], _MARGIN + n * _STEP[1]))
    return nodes


def _arrow(edge: MapEdge, nodes: dict[str, Node]) -> Arrow:
    caller, callee = nodes[edge.caller], nodes[edge.callee]
    x1, y1 = caller.x + _BOX[0], caller.y + _BOX[1] / 2
    x2, y2 = float(callee.x), callee.y + _BOX[1] / 2
    bend = max(40.0, abs(x2 - x1) / 2)
    path = f"M{x1:g} {y1:g}C{x1 + bend:g} {y1:g} {x2 - bend:g} {y2:g} {x2 - 7:g} {y2:g}"
    # Near the callee arrows of one caller have parted.
    label = x2 - 42, y2 - 6 + (y1 - y2) * 0.06
    return Arrow(edge, path, *label, change_of(edge.reference, edge.crime))
