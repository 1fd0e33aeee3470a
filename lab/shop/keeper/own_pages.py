"""Whether a request to one of the lab's own pages may have come from a page of somebody else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lab.shop.topology import HOST

NAMES: Final = (HOST, "localhost")
"""What a client on this machine may call it; a ``Host`` of any other name is a rebound DNS name."""


def is_foreign(host: str, origin: str | None, names: Sequence[str] = NAMES) -> bool:
    """Whether the ``Host`` is not this machine's, or the ``Origin`` is another than the host.

    ``names`` are what it may be called by. Browsers put ``Origin`` on every cross-site
    request that can change something
    (https://fetch.spec.whatwg.org/#origin-header); programs leave it out.
    """
    return host.partition(":")[0] not in names or origin not in {None, f"http://{host}"}
