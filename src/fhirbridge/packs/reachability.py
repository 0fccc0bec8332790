"""Which conditions of a pack can never hold, as far as that can be said for certain.

Sound, not complete: whatever is reported as never holding never does, whatever the record says; a condition that is
passed may still be one that no patient ever meets. What is known: a condition and its contrary exclude each other, a
step's task or letter can only be waited for where the step has one, a run sees only the steps that stand beside it, and
of the pathways of one group only one runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from fhirbridge.core.authored_conditions import When
from fhirbridge.core.authoring import Act, PackFile, Pathway, Step
from fhirbridge.core.sentences import atoms
from fhirbridge.core.wording import several

_WITH_SPELL = frozenset({"spell", "signal-in-spell"})
"""What a pathway is anchored on that missed appointments belong to."""
_SEES_OTHERS = _WITH_SPELL | {"discharge"}
"""Anchored so, a run sees the steps of other pathways; any other sees its own alone."""
_NEEDS_MISS = frozenset({"missed", "risk_when_missed", "contact"})
_NEEDS_RUN = frozenset({"booked", "passed"})


class Never(Struct, frozen=True):
    """A condition that can never hold: of a step, or of a pathway's start (`step` None). `part` is the entry's name."""

    pathway: int
    step: int | None
    part: str
    why: str


class _Known(Struct, frozen=True):
    """What holds, and what does not, wherever a condition is asked; each as it is written."""

    holding: dict[bytes, tuple[str, Any]]
    denied: frozenset[bytes]

    def contradiction(self) -> str:
        """Why all of it cannot be so at once; "" if it can."""
        values: dict[str, list[Any]] = {}
        for name, value in self.holding.values():
            values.setdefault(name, []).append(value)
        for name, given in values.items():
            shown = name.replace("_", "-")
            if True in given and False in given:
                return f"it wants {shown} both true and false"
            if name == "risk" and not frozenset.intersection(*(frozenset(several(one)) for one in given)):
                return "it wants the risk to be in two states at once"
        return ""


class Reachability:
    """Works through a pack in its order, remembering what can never come to be."""

    def __init__(self, pack: PackFile) -> None:
        self._pack = pack
        self._steps: dict[str, tuple[Pathway, Step]] = {}
        self._pathways: dict[str, Pathway] = {}
        self._dead: set[str] = set()
        self._here: Pathway = pack.pathways[0]
        self._starting = False

    def findings(self) -> Iterable[Never]:
        """Every condition that can never hold, in the order of the pack."""
        for number, pathway in enumerate(self._pack.pathways):
            self._here = pathway
            if why := self._start(pathway):
                self._dead.add(pathway.id)
                yield Never(number, None, "starts", why)
            self._pathways[pathway.id] = pathway
            constant = _constant(pathway)
            for place, step in enumerate(pathway.steps):
                if why := self._never(step.when, constant):
                    yield Never(number, place, "when", why)
                if why or pathway.id in self._dead:
                    self._dead.add(step.id)
                if step.until is not None and (why := self._never(step.until, constant)):
                    yield Never(number, place, "until", why)
                self._steps[step.id] = (pathway, step)

    def _start(self, pathway: Pathway) -> str:
        self._starting = True
        why = self._never(pathway.starts, _Known({}, frozenset()))
        self._starting = False
        return why or self._shadowed(pathway)

    def _shadowed(self, pathway: Pathway) -> str:
        known = _with(_Known({}, frozenset()), pathway.starts)
        for earlier in self._pathways.values():
            together = pathway.group is not None and earlier.group == pathway.group
            if together and pathway.once_per == earlier.once_per == "spell" and _implied(earlier.starts, known):
                return f"{earlier.id!r} stands before it in the group {pathway.group!r} and starts whenever it would"
        return ""

    # --- conditions --------------------------------------------------------------------------------------

    def _never(self, when: When | str, known: _Known) -> str:
        """Why the condition can never hold where `known` does; "" where that cannot be said."""
        if isinstance(when, str):
            return ""
        known = _with(known, when)
        for name, value in known.holding.values():
            if why := self._atom(name, value):
                return why
        if why := known.contradiction():
            return why
        for denied in _negations(when):
            if _implied(denied, known):
                return "it wants the same to hold and not to hold"
        for group in _alternatives(when):
            reasons = [self._never(branch, known) for branch in group]
            if all(reasons):
                return f"none of its alternatives can hold: {'; '.join(dict.fromkeys(reasons))}"
        return ""

    def _atom(self, name: str, value: Any) -> str:
        anchor = self._here.once_per
        shown = name.replace("_", "-")
        if value is False:
            return ""
        if name in _NEEDS_MISS and anchor not in _WITH_SPELL:
            return f"{shown} needs a missed appointment, and a run that is there once per {anchor} has none"
        if name == "overdue" and anchor != "task":
            return "overdue needs a pathway that is there once per task"
        if name == "disengaged" and anchor != "discharge":
            return "disengaged needs a pathway that is there once per discharge"
        if name in _NEEDS_RUN and self._starting:
            return f"{shown} looks back at a run, and a pathway that has yet to start has none"
        return self._about_steps(name, value)

    def _about_steps(self, name: str, value: Any) -> str:
        match name:
            case "outcome":
                return self._one_of(several(value.of), "task", value.action)
            case "sent":
                return self._one_of((value.of,), "communication", None)
            case "reached":
                return self._one_of(several(value), None, None)
            case "passed" if value.of:
                return self._one_of((value.of,), None, None)
            case "running":
                reasons = [self._apart(self._pathways.get(pathway)) for pathway in several(value)]
                return reasons[0] if all(reasons) else ""
            case _:
                return ""

    def _one_of(self, steps: Sequence[str], kind: str | None, action: str | None) -> str:
        """Why none of the steps can be met; "" if one can, or if a step does not exist (others report that)."""
        reasons = [self._unmet(step, kind, action) for step in steps]
        return reasons[0] if all(reasons) else ""

    def _unmet(self, name: str, kind: str | None, action: str | None) -> str:
        if name not in self._steps:
            return ""
        pathway, step = self._steps[name]
        if kind and not any(_writes(act, kind, action) for act in step.do):
            wanted = f"{kind} {action}" if action else kind
            return f"the step {name!r} has no {wanted} to wait for"
        if name in self._dead:
            return f"the step {name!r} is never asked for"
        return self._apart(pathway)

    def _apart(self, other: Pathway | None) -> str:
        """Why no run of this pathway ever sees one of the other."""
        here = self._here
        if other is None or other.id == here.id:
            return ""
        if other.id in self._dead:
            return f"the pathway {other.id!r} never starts"
        if here.once_per not in _SEES_OTHERS:
            return f"a run that is there once per {here.once_per} does not see the pathway {other.id!r}"
        if here.group is not None and here.group == other.group and here.once_per == other.once_per == "spell":
            return f"the pathway {other.id!r} never runs beside this one: both are in the group {here.group!r}"
        return ""


def _constant(pathway: Pathway) -> _Known:
    """What stays as it was when the pathway started: whether the patient had been seen before."""
    if pathway.once_per not in _WITH_SPELL:
        return _Known({}, frozenset())
    known = _with(_Known({}, frozenset()), pathway.starts)
    return _Known({key: atom for key, atom in known.holding.items() if atom[0] == "in_receipt"}, frozenset())


def _with(known: _Known, when: When | str) -> _Known:
    """What is known where the condition holds as well."""
    holding = known.holding | {_key(atom): atom for part in _conjuncts(when) for atom in atoms(part)}
    denied = known.denied | {msgspec.json.encode(part) for part in _negations(when)}
    return _Known(holding, denied)


def _conjuncts(when: When | str) -> Iterable[When]:
    """The entry, and every entry that has to hold with it; none where a word stands for a condition."""
    if isinstance(when, str):
        return
    yield when
    for part in when.all:
        yield from _conjuncts(part)


def _negations(when: When | str) -> list[When]:
    return [part.not_ for part in _conjuncts(when) if part.not_ is not None]


def _alternatives(when: When) -> list[tuple[When, ...]]:
    return [part.any for part in _conjuncts(when) if part.any]


def _implied(when: When | str, known: _Known) -> bool:
    """Whether the condition surely holds where `known` does."""
    if isinstance(when, str):
        return True
    return (
        all(_key(atom) in known.holding for atom in atoms(when))
        and all(_implied(part, known) for part in when.all)
        and (not when.any or any(_implied(part, known) for part in when.any))
        and (when.not_ is None or msgspec.json.encode(when.not_) in known.denied)
    )


def _key(atom: tuple[str, Any]) -> bytes:
    return msgspec.json.encode(atom)


def _writes(act: Act, kind: str, action: str | None) -> bool:
    code = getattr(act, kind)
    return code is not None and action in (None, code)
