"""The board: every scenario, and what became of its cases."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from lab.desk.desk import TheDesk
from lab.desk.pages import page

router = APIRouter(include_in_schema=False)


@router.get("/")
def board(request: Request, desk: TheDesk) -> HTMLResponse:
    """List the cases there are, newest first."""
    return page(request, "board.html", {"cases": desk.archive.cases()})
