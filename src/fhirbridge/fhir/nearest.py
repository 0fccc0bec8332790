"""The known word that somebody most likely meant by an unknown one."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_ALIKE = 0.6
_SHOWN = 24
"""How many known words a message lists; more would hide the rest of it."""


def nearest(found: str, known: Iterable[str]) -> str:
    """What to add to a message about `found`: the nearest of the `known` words; "" when none is near."""
    near = get_close_matches(found, sorted(set(known)), n=1, cutoff=_ALIKE)
    return f"; the nearest is {near[0]!r}" if near else ""


def unknown(found: str, known: Iterable[str], what: str) -> str:
    """What to say about `found`, which is none of the `known`: the nearest of them, and which are allowed.

    `what` completes "is no": a state of an appointment, a field of the fact.
    """
    words = sorted(set(known))
    more = f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    allowed = f"{', '.join(words[:_SHOWN]) or 'none'}{more}"
    return f"{found!r} is no {what}{nearest(found, words)}; allowed are {allowed}"
