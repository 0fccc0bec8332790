"""Moving running pathways to the edition in force: what is shown, what is written, and what stands in Provenance."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from fhirbridge.adapters.memory_store import MemoryStore
from fhirbridge.core.effects import Migrated, Withdrawal, Withdrawn
from fhirbridge.core.own import fold
from fhirbridge.core.policy import Pack, Step
from fhirbridge.errors import Overtaken
from fhirbridge.ports import Known, Subject, Version
from fhirbridge.service.assigning import no_editions
from fhirbridge.service.migrating import Which, migrate, migration
from fhirbridge.service.settling import settle
from tests.clock_double import ClockDouble
from tests.unit.simulated_record import answer, corrected, twice_missed
from tests.unit.test_assigning import NAME, NEXT, NOW, PACK, everywhere, facts_of, known

PATIENT = Subject("main", "Patient/p1")
RECORD = twice_missed("p1")


def without_contact() -> Pack:
    """The next version of the pack: whoever misses appointments gets no call, and everything else as before."""
    pathways = tuple(
        replace(pathway, steps=tuple(step for step in pathway.steps if step.id != "rdash-5.3-contact"))
        for pathway in PACK.pathways
    )
    return replace(PACK, version="99.0.0", pathways=pathways)


def urgent(step: Step) -> Step:
    return replace(step, acts=tuple(replace(act, priority="urgent") for act in step.acts))


LATER = replace(
    PACK,
    version="99.0.0",
    pathways=tuple(replace(p, steps=tuple(map(urgent, p.steps))) for p in PACK.pathways),
)
"""The next version of the pack: everything is urgent."""


def started() -> Known:
    return known(RECORD, settle(everywhere(PACK), known(RECORD), NOW).effects)


def test_a_run_moves_to_the_edition_in_force_and_what_was_asked_is_changed() -> None:
    before = started()
    site = everywhere(LATER, editions=lambda run, risk: PACK)

    found = migration(site, before, Which(NAME), NOW)

    assert found is not None
    assert [(thing.key.action, thing.priority) for thing in found.changed] == [("contact-patient", "urgent")]
    assert {run.version for run in found.own.runs.values()} == {"99.0.0"}
    again = replace(before, effects=(*before.effects, *found.effects))
    assert settle(everywhere(LATER), again, NOW).effects == ()


def test_what_is_written_names_the_new_version_and_where_it_comes_from() -> None:
    found = migration(everywhere(LATER, editions=lambda run, risk: PACK), started(), Which(NAME), NOW)

    assert found is not None
    provenances = [row.provenance for row in found.after.outgoing]
    assert provenances
    for provenance in provenances:
        assert provenance["policy"] == [LATER.canonical]
        assert f"Migrated from {PACK.version}." in provenance["reason"][0]["text"]


def test_what_goes_is_superseded_and_nobody_is_sent_a_correction() -> None:
    site = everywhere(without_contact(), editions=lambda run, risk: PACK)

    found = migration(site, started(), Which(NAME), NOW)

    assert found is not None
    assert [(thing.key.action, thing.reason) for thing in found.withdrawn] == [
        ("contact-patient", Withdrawal.SUPERSEDED)
    ]
    assert "correction-notice" not in {thing.key.action for thing in found.created}


def test_what_the_record_takes_back_is_not_laid_to_the_migration() -> None:
    resources = [*RECORD, corrected("p1", "2026-01-26T11:30:00Z")]
    taken_back = replace(started(), facts=facts_of(resources))

    with_archive = migration(everywhere(LATER, editions=lambda run, risk: PACK), taken_back, Which(NAME), NOW)
    without = migration(everywhere(LATER, editions=no_editions), taken_back, Which(NAME), NOW)

    assert with_archive is not None
    assert without is not None
    assert with_archive.withdrawn == ()
    for found in (with_archive, without):
        reasons = {effect.reason for effect in found.effects if isinstance(effect, Withdrawn)}
        assert reasons == {Withdrawal.CORRECTED}


def test_a_lost_version_can_be_left() -> None:
    found = migration(everywhere(LATER, editions=no_editions), started(), Which(NAME), NOW)

    assert found is not None
    assert found.changed


@pytest.mark.parametrize("which", [Which("therapy-commitment"), Which(NAME, "0.0.1")])
def test_others_stay(which: Which) -> None:
    assert migration(everywhere(LATER, editions=no_editions), started(), which, NOW) is None


def test_who_is_on_the_edition_in_force_has_nothing_to_move() -> None:
    assert migration(everywhere(PACK), started(), Which(NAME), NOW) is None


async def kept() -> MemoryStore:
    store = MemoryStore()
    before = started()
    await store.keep("main", [Version(fact=fact, resource={}) for fact in before.facts], (), NOW)
    loaded = await store.load(PATIENT)
    await store.commit(
        PATIENT, effects=before.effects, outgoing=(), wakes_at=None, decided_at=NOW, revision=loaded.revision
    )
    return store


async def test_it_is_committed_in_one_and_the_patient_is_due() -> None:
    store = await kept()

    found = await migrate(
        store, everywhere(LATER, editions=lambda run, risk: PACK), PATIENT, Which(NAME), ClockDouble(NOW)
    )

    loaded = await store.load(PATIENT)
    assert found is not None
    assert any(isinstance(effect, Migrated) for effect in loaded.effects)
    assert {run.version for run in fold(loaded.effects).runs.values()} == {"99.0.0"}
    assert [row.outgoing for row in await store.undelivered(NOW, 10)] == list(found.after.outgoing)
    assert await store.due(NOW, 10) == [PATIENT]


async def test_a_patient_somebody_is_busy_with_is_left() -> None:
    store = await kept()

    async with store.lease(PATIENT, NOW):
        with pytest.raises(Overtaken):
            await migrate(store, everywhere(LATER, editions=no_editions), PATIENT, Which(NAME), ClockDouble(NOW))

    assert not any(isinstance(effect, Migrated) for effect in (await store.load(PATIENT)).effects)


def test_later_writes_of_a_moved_run_follow_the_new_version() -> None:
    before = started()
    found = migration(everywhere(LATER, editions=lambda run, risk: PACK), before, Which(NAME), NOW)
    assert found is not None
    answered = known([*RECORD, answer("t1", "p1", "no-answer", "2026-01-27T10:00:00Z")])

    later = settle(everywhere(LATER), replace(answered, effects=(*before.effects, *found.effects)), NEXT)

    assert later.outgoing
    assert {policy for row in later.outgoing for policy in row.provenance["policy"]} == {LATER.canonical}
