"""Which traces belong to whose request in a sealed case, as the lab noted it.

To find it out every trace of the case has to be read; whoever looks at a few reads those alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from lab.adapters.cases.own_note import code_of_notes, read_note, sha256_of, write_note
from lab.domain.evidence import Evidence
from lab.domain.join import Partners

PARTNERS: Final = ".partners.json"


def with_partners(evidence: Evidence, folder: Path, sealed: Mapping[str, str]) -> Evidence:
    """The evidence that knows its partners, by the note of them; found and noted where none is.

    ``sealed`` has the SHA-256 of all files that they were found in. CaseDamaged for a trace that
    is none.
    """
    if not evidence.joins:
        return evidence
    made_of = {"sealed": dict(sealed), "code": code_of_notes()}
    known = _known(read_note(folder / PARTNERS, made_of))
    if known is None:
        known = evidence.partners
        with suppress(OSError):  # They are found without a note, only more slowly.
            if all(sha256_of(folder / name) == digest for name, digest in sealed.items()):
                write_note(folder / PARTNERS, json.dumps(known), made_of)
    return replace(evidence, known_partners=known)


def _known(told: bytes | None) -> Partners | None:
    """What was noted; None where the lab noted no such thing."""
    try:
        pairs = json.loads(told or b"null").items()
        return {str(owner): tuple(map(str, others)) for owner, others in pairs}
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
