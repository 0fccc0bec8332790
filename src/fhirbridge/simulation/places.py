"""Which line of a JSON text an element stands on: parsers forget it, and whoever has to mend a file wants to know.

Only asked for once something is wrong, so it may parse again; what lies beside the path is skipped by the C decoder.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from json import JSONDecodeError, JSONDecoder

Path = Sequence[str | int]

_SPACE = re.compile(r"[ \t\r\n]*")
_STEP = re.compile(r"(?P<name>[A-Za-z]\w*)|\[(?P<index>\d+)\]")
_DECODER = JSONDecoder()


def line_at(text: str, path: Path) -> int:
    """The line, from 1, of the element at `path` of a JSON text; of its nearest ancestor where it is missing."""
    at = _skip(text, 0)
    try:
        for step in path:
            found = _member(text, at, step) if isinstance(step, str) else _item(text, at, step)
            if found is None:
                break
            at = found
    except (JSONDecodeError, IndexError):  # the ancestor is all that can be told
        pass
    return text.count("\n", 0, at) + 1


def path_of(place: str) -> list[str | int]:
    """The path that an element takes from its resource: `Encounter.participant[0].period.end`, or `resourceType`."""
    below = place.partition(".")[2] if place[:1].isupper() else place
    return [m["name"] or int(m["index"]) for m in _STEP.finditer(below)]


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _member(text: str, at: int, name: str) -> int | None:
    """Where the value of the member `name` begins, in the object at `at`."""
    if text[at] != "{":
        return None
    at = _skip(text, at + 1)
    while text[at] != "}":
        key, end = _DECODER.raw_decode(text, at)
        value = _skip(text, _skip(text, end) + 1)
        if key == name:
            return value
        at = _following(text, value)
    return None


def _item(text: str, at: int, index: int) -> int | None:
    """Where the item `index` begins, in the list at `at`."""
    if text[at] != "[":
        return None
    at = _skip(text, at + 1)
    for _ in range(index):
        if text[at] == "]":
            return None
        at = _following(text, at)
    return None if text[at] == "]" else at


def _following(text: str, at: int) -> int:
    """Where the next member or item begins, or the bracket that closes them."""
    _, end = _DECODER.raw_decode(text, at)
    end = _skip(text, end)
    return _skip(text, end + 1) if text[end] == "," else end
