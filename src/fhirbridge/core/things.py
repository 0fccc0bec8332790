"""What the service wrote already, found again for what is asked for now.

An obligation keeps its identity while the record is corrected around it. What was taken back is asked for anew, in a
further generation; what people have acted on is never asked for a second time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from fhirbridge.core.effects import Key, Withdrawal
from fhirbridge.core.facts import Task
from fhirbridge.core.history import History
from fhirbridge.core.identity import of_obligation
from fhirbridge.core.own import Own, Thing, logical
from fhirbridge.core.scene import Scene
from fhirbridge.core.spells import is_spell, spell_of


class Things:
    """All that was written; `tasks` are the service's Tasks as the EPR has them, by identity."""

    def __init__(self, own: Own, tasks: Mapping[str, History[Task]]) -> None:
        self._tasks = tasks
        self._own = own

    def find(self, key: Key, scene: Scene) -> tuple[Thing | None, Key]:
        """What was written for this key, and the key under which it is (or would be) written."""
        same = self._own.alike.get(logical(key), ())
        mine = _of_scope(same, key)
        if not mine and (before := self._under_another_name(key, scene)) is not None:
            return before, before.key
        if not same:
            return None, key
        for thing in mine:
            if self._stands(thing) and (thing.key.generation >= key.generation or self._acted_on(thing)):
                return thing, thing.key
        if any(not self._stands(thing) for thing in mine):
            generation = max(key.generation, 1 + max(t.key.generation for t in mine))
            key = replace(key, generation=generation)
        identity = of_obligation(key)
        for thing in same:
            moved = thing.key.occurrence == key.occurrence and self._moved(thing, scene)
            if self._stands(thing) and (identity in thing.covers or moved):
                return thing, thing.key
        return None, key

    def _under_another_name(self, key: Key, scene: Scene) -> Thing | None:
        """What people have acted on when this case had another name: its referral's, or that of its service alone."""
        if scene.patient_wide or self._own.cases <= {key.case}:
            return None
        for name in self._names(scene):
            for thing in _of_scope(self._own.alike.get(logical(replace(key, case=name)), ()), key):
                if self._stands(thing) and self._acted_on(thing) and _is_about(thing, scene):
                    return thing
        return None

    def _names(self, scene: Scene) -> list[str]:
        """What the case may have been called before: names that stand for no other case now."""
        others = {name for case in scene.record.cases if case.id != scene.course.case.id for name in case.names}
        return sorted(self._own.cases - others - {scene.record.patient})

    def passed_on(self, key: Key) -> Thing | None:
        """What was written for a period that has passed, and taken back when the next began."""
        mine = _of_scope(self._own.alike.get(logical(key), ()), key)
        return next((t for t in mine if t.reason is Withdrawal.SUPERSEDED), None)

    def _stands(self, thing: Thing) -> bool:
        """Neither taken back nor, where it was sent, corrected: what is asserted again has to be said again."""
        return thing.withdrawn is None and thing.identity not in self._own.corrected

    def _moved(self, thing: Thing, scene: Scene) -> bool:
        """Whether it was written in this very spell, whose anchor has changed since, and people have acted on it."""
        ending = scene.scope.ending
        inside = scene.scope.start < thing.since and (ending is None or thing.since <= ending.at)
        spells = is_spell(thing.key.scope) and scene.scope.spell
        if not inside or not spells or not self._acted_on(thing):
            return False
        return spell_of(thing.key.scope) not in {spell.name for spell in scene.around.spells}

    def _acted_on(self, thing: Thing) -> bool:
        """Whether it was sent or closed, or staff have begun with it: it is never asked for again then."""
        task = self._tasks.get(thing.identity)
        begun = task is not None and task.latest.status != "requested"
        return begun or thing.sent is not None or thing.completed is not None


def _of_scope(things: Iterable[Thing], key: Key) -> list[Thing]:
    """Those of the very scope and recurrence of the key, of whatever generation."""
    return [t for t in things if t.key.scope == key.scope and t.key.occurrence == key.occurrence]


def _is_about(thing: Thing, scene: Scene) -> bool:
    """Whether the appointments that set it off, if any did, are of this case now."""
    visits = {visit.source.reference for visit in scene.visits}
    return all(source.reference in visits for source in thing.triggers if source.type == "Appointment")
