"""The map of a case: who calls whom, before and in the incident. From spans alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from lab.desk.desk import OpenFile, TheDesk
from lab.desk.guard import check_site
from lab.desk.layered import BOX, LINE
from lab.desk.map_layout import Layout
from lab.desk.pages import page
from lab.desk.trace_page import Assist
from lab.investigation.reading.service_map import MEASURES, MapEdge, ServiceMap, cells
from lab.investigation.reading.strangers import is_alone, map_of, map_shown

router = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/api/v1", tags=["map"])


@router.get("/cases/{case_id}/map", dependencies=[Depends(check_site)])
def map_page(request: Request, case: OpenFile, desk: TheDesk) -> HTMLResponse:
    """Draw the map; the table below it says the same."""
    desk.solving.note_assist(case.case_id, Assist.MAP)
    found = map_shown(case)
    layout, words = drawing(found)
    context = {
        "case": case,
        "here": "map",
        "map": found,
        "layout": layout,
        "arrows": list(zip(found.edges, layout.arrows, words, strict=True)),
        "measures": MEASURES,
        "cells": cells,
        "box_width": BOX[0],
        "line_height": LINE,
        "is_alone": is_alone(case),
        "path_of": _path,
    }
    return page(request, "map.html", context)


@api.get("/cases/{case_id}/map", dependencies=[Depends(check_site)])
def map_json(case: OpenFile) -> dict[str, Any]:
    """Services and edges with calls a request, share of errors, p50 and p95 in ms, twice."""
    return asdict(map_of(case))


def drawing(found: ServiceMap) -> tuple[Layout, Sequence[Sequence[str]]]:
    """Where all of it stands, and the words of each edge."""
    words = [_words(edge) for edge in found.edges]
    pairs = zip(found.edges, words, strict=True)
    calls = [(edge.caller, edge.callee, said) for edge, said in pairs]
    return Layout({each.name: each.layer for each in found.services}, calls), words


def _words(edge: MapEdge) -> Sequence[str]:
    """What stands on an arrow: the median of a call, and below it all else that changed."""
    if edge.reference is None or edge.crime is None:
        return [f"{each.sign} {each.value}" for each in edge.changes]
    first, others = [], []
    for each in cells(edge):
        if each.measure == "p50":
            _, _, now = each.text.rpartition(" → ")
            first.append(f"{each.sign} {each.text}" if each.sign else now)
        elif each.sign:
            others.append(f"{each.sign} {each.text} {each.measure}")
    return first + others


def _path(points: Sequence[tuple[float, float]]) -> str:
    """For SVG: curves through the channels, straight beside boxes and words."""
    parts = ["M{:g} {:g}".format(*points[0])]
    for (x, y), (to_x, to_y) in pairwise(points):
        bend = (x + to_x) / 2
        curve = f"C{bend:g} {y:g} {bend:g} {to_y:g} {to_x:g} {to_y:g}"
        parts.append(f"H{to_x:g}" if y == to_y else f"V{to_y:g}" if x == to_x else curve)
    return "".join(parts)
