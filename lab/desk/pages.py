"""Pages: templates filled on the server, with words and looks that all of them share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from lab.desk import guard
from lab.domain.wording import duration, times_usual
from lab.investigation.reading import span_words
from lab.terminal.text import hue

HERE: Final = Path(__file__).parent
STATIC: Final = HERE / "static"


def markdown(text: str) -> Markup:
    """Markdown as HTML; HTML and images inside it are shown as text, not obeyed or fetched."""
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    return Markup(reader.render(text))  # noqa: S704


def ticked(text: str) -> Markup:
    """Words of ours in which backticks mark code."""
    return Markup(re.sub(r"``?([^`]+)``?", r"<code>\1</code>", str(escape(text))))  # noqa: S704


def moment(unix_s: float) -> str:
    """A moment as this machine's clock on the wall shows it."""
    return datetime.fromtimestamp(unix_s).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def began(unix_s: float) -> str:
    """When a stranger's trace began; a question mark where that is no moment."""
    try:
        return moment(unix_s) if unix_s else "?"
    except (ValueError, OverflowError, OSError):
        return "?"


def clock(unix_s: float) -> str:
    """The time of day, to the millisecond."""
    return datetime.fromtimestamp(unix_s).astimezone().strftime("%H:%M:%S.%f")[:-3]


def query(fields: Mapping[str, object], **more: object) -> str:
    """The query of an address; what is empty is left out."""
    return urlencode({k: v for k, v in {**fields, **more}.items() if v not in (None, "")})


def page(
    request: Request, template: str, context: Mapping[str, Any], *, status: int = 200
) -> HTMLResponse:
    """Fill ``template``; it extends ``base.html``, and its forms carry ``{{ token }}``."""
    token = guard.token_of(request)
    text = _environment().get_template(template).render({**context, "token": token})
    response = HTMLResponse(text, status)
    guard.keep_token(response, token)
    return response


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["briefly"] = span_words.operation_without_statement
    environment.filters.update(
        began=began,
        clock=clock,
        context=span_words.context_of,
        duration=duration,
        hue=hue,
        markdown=markdown,
        data_size=span_words.data_size,
        moment=moment,
        query=query,
        ticked=ticked,
        times=times_usual,
        took=span_words.took,
        value=span_words.value_text,
    )
    return environment
