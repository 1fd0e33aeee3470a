"""A viewer of Markdown that does whatever it is told."""

from __future__ import annotations

from markdown_it import MarkdownIt


def obeyed(text: str) -> list[str]:
    """What the most obedient viewer would fetch or follow: it takes HTML, and any address."""
    viewer = MarkdownIt("commonmark", {"html": True})
    viewer.validateLink = lambda url: True  # type: ignore[method-assign]
    blocks = viewer.parse(text)
    pieces = [*blocks, *(child for block in blocks for child in block.children or ())]
    links = [str(each.attrGet("href")) for each in pieces if each.type == "link_open"]
    others = [each.type for each in pieces if each.type in {"image", "html_inline", "html_block"}]
    return others + [link for link in links if not link.startswith(("http://", "https://"))]
