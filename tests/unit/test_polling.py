"""EPRs that tell of nothing: what staff enter is found by asking, also where resources have no version and no time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fhirbridge.adapters.feeds.polling import DateWindowPoll, HistoryPoll, LastUpdatedPoll, PatientPoll, Poll
from fhirbridge.adapters.memory_epr import MemoryEpr
from fhirbridge.adapters.memory_store import MemoryStore
from fhirbridge.core.effects import Withdrawn, Written
from fhirbridge.core.facts import Appointment, AppointmentState, Episode
from fhirbridge.errors import EprRefused
from fhirbridge.ports import Event, Known, Resource
from fhirbridge.service import Service, Site
from fhirbridge.service.windows import Window
from tests.clock_double import ClockDouble
from tests.shipped import CALENDAR, shipped_mapping, shipped_pack
from tests.unit.stage import PATIENT, START
from tests.unit.stage import appointment as at
from tests.vendor_epr import VendorEpr, epic, oracle

DAY = timedelta(days=1)
PACK = shipped_pack(risk_when_unrecorded="none")
WINDOW = Window(past=28, future=90, slice=7, near=2)
CLINIC = {"Appointment": {"location": ["north", "south"]}}


class Stage:
    """A service that is told nothing by its EPR, and the hands of staff and of time."""

    def __init__(self, epr: MemoryEpr, clock: ClockDouble, mapping: str) -> None:
        self.clock = clock
        self.epr = epr
        self.store = MemoryStore()
        loaded = shipped_mapping(mapping)
        self.site = Site(epr=epr, mapping=loaded, packs=(PACK,), calendar=CALENDAR)
        self.service = Service(self.store, {"main": self.site}, clock)

    async def poll(self, poll: Poll, *types: str, back: timedelta = timedelta(0)) -> list[Event]:
        """Ask once, and let the service work until it has nothing more to do at this instant."""
        events = [event for kind in types async for event in poll.look(kind, self.clock.time - back, self.clock.time)]
        await self.store.accept("main", events, self.clock.time)
        for _ in range(50):
            if not await self.service.digest() and not await self.service.advance(await self.service.due()):
                return events
        pytest.fail("the service does not come to rest")

    async def known(self) -> Known:
        return await self.store.load(PATIENT)

    async def states(self, identity: str) -> list[AppointmentState | str]:
        """What became known of an appointment, in order."""
        facts = [fact for fact in (await self.known()).facts if fact.source.id == identity]
        return ["gone" if fact.erased else fact.state for fact in facts if isinstance(fact, Appointment)]

    async def asked_for(self) -> list[str]:
        return [effect.key.action for effect in (await self.known()).effects if isinstance(effect, Written)]


def appointment(identity: str, status: str, start: datetime, clinic: str = "north") -> Resource:
    return at(identity, status, start, f"Location/{clinic}")


def a_stage(make: Any, mapping: str) -> Stage:
    clock = ClockDouble(START)
    return Stage(make(clock), clock, mapping)


@pytest.fixture(params=["oracle", "epic"])
def stage(request: pytest.FixtureRequest) -> Stage:
    if request.param == "oracle":
        return a_stage(oracle, "oracle-health")
    return a_stage(epic, "epic")


def by_date(stage: Stage) -> DateWindowPoll:
    assert isinstance(stage.epr, VendorEpr)
    demands: Mapping[str, Any] = CLINIC if stage.site.mapping.name == "oracle-health" else {}
    return DateWindowPoll(stage.site, stage.store.kept, demands, window=WINDOW)


async def in_receipt(stage: Stage) -> None:
    """A patient who came three weeks ago."""
    await stage.epr.update({"resourceType": "Patient", "id": "p1", "birthDate": "1980-01-01"})
    await stage.epr.update(appointment("a0", "fulfilled", START - 21 * DAY))


async def test_missed_appointments_that_nobody_told_of_lead_to_the_task(stage: Stage) -> None:
    poll = by_date(stage)
    await in_receipt(stage)
    await stage.epr.update(appointment("a1", "booked", START + 2 * DAY))
    await stage.epr.update(appointment("a2", "booked", START + 9 * DAY, clinic="south"))
    await stage.poll(poll, "Appointment")
    assert await stage.asked_for() == []

    for identity, day in (("a1", 2), ("a2", 9)):
        stage.clock.time = START + day * DAY + timedelta(hours=3)
        clinic = "north" if identity == "a1" else "south"
        await stage.epr.update(appointment(identity, "noshow", START + day * DAY, clinic))
        await stage.poll(poll, "Appointment")

    assert await stage.states("a2") == ["booked", "missed"]
    assert await stage.asked_for() == ["contact-patient"]


async def test_what_is_read_again_unchanged_is_no_event_and_no_version(stage: Stage) -> None:
    poll = by_date(stage)
    await in_receipt(stage)
    assert await stage.poll(poll, "Appointment") == [Event(type="Appointment", id="a0")]
    before = await stage.known()
    for _ in range(3):
        stage.clock.time += timedelta(minutes=5)
        assert await stage.poll(poll, "Appointment") == []
    assert (await stage.known()).facts == before.facts


async def test_what_is_said_again_after_something_else_counts(stage: Stage) -> None:
    poll = by_date(stage)
    await in_receipt(stage)
    for status in ("noshow", "fulfilled", "noshow"):
        stage.clock.time += timedelta(hours=1)
        await stage.epr.update(appointment("a1", status, START - DAY))
        await stage.poll(poll, "Appointment")
    assert await stage.states("a1") == ["missed", "attended", "missed"]


async def test_what_has_no_time_of_its_own_became_known_when_it_was_read() -> None:
    stage = a_stage(epic, "epic")
    await in_receipt(stage)
    stage.clock.time = START + timedelta(hours=7)
    await stage.poll(by_date(stage), "Appointment")

    [fact] = [fact for fact in (await stage.known()).facts if fact.source.id == "a0"]
    assert fact.known == START + timedelta(hours=7)
    assert fact.source.versioned == "Appointment/a0"


async def two_misses(stage: Stage, poll: Poll) -> None:
    await in_receipt(stage)
    await stage.epr.update(appointment("a1", "noshow", START - 7 * DAY))
    await stage.epr.update(appointment("a2", "noshow", START - timedelta(hours=1)))
    await stage.poll(poll, "Appointment")
    assert await stage.asked_for() == ["contact-patient"]
    stage.clock.time += timedelta(hours=2)


async def withdrawn(stage: Stage) -> list[str]:
    return [effect.reason.value for effect in (await stage.known()).effects if isinstance(effect, Withdrawn)]


async def test_what_vanishes_from_its_window_is_withdrawn(stage: Stage) -> None:
    poll = by_date(stage)
    await two_misses(stage, poll)

    await stage.epr.delete("Appointment/a2")
    assert await stage.poll(poll, "Appointment") == [Event(type="Appointment", id="a2")]

    assert await stage.states("a2") == ["missed", "gone"]
    assert await withdrawn(stage) == ["corrected"]
    stage.clock.time += timedelta(hours=1)
    assert await stage.poll(poll, "Appointment") == []


async def test_what_comes_back_unchanged_counts_again(stage: Stage) -> None:
    poll = by_date(stage)
    await two_misses(stage, poll)
    gone = await stage.epr.read("Appointment/a2")
    await stage.epr.delete("Appointment/a2")
    await stage.poll(poll, "Appointment")

    stage.clock.time += timedelta(hours=1)
    assert isinstance(stage.epr, VendorEpr)
    stage.epr.restore("Appointment/a2", 1)
    assert (await stage.epr.read("Appointment/a2")) == gone
    await stage.poll(poll, "Appointment")

    assert await stage.states("a2") == ["missed", "gone", "missed"]
    stage.clock.time += timedelta(hours=1)
    assert await stage.poll(poll, "Appointment") == []


async def test_what_only_moved_is_a_new_version(stage: Stage) -> None:
    poll = by_date(stage)
    await in_receipt(stage)
    await stage.epr.update(appointment("a1", "booked", START + DAY))
    await stage.poll(poll, "Appointment")

    stage.clock.time += timedelta(hours=1)
    await stage.epr.update(appointment("a1", "booked", START + 400 * DAY))
    await stage.poll(poll, "Appointment")

    facts = [fact for fact in (await stage.known()).facts if fact.source.id == "a1"]
    assert [fact.start for fact in facts if isinstance(fact, Appointment)] == [START + DAY, START + 400 * DAY]
    assert not any(fact.erased for fact in facts)


async def test_what_a_search_overlooks_is_not_taken_for_gone(stage: Stage) -> None:
    poll = by_date(stage)
    await two_misses(stage, poll)
    assert isinstance(stage.epr, VendorEpr)
    stage.epr.hidden = {"Appointment/a2"}

    await stage.poll(poll, "Appointment")

    assert await stage.states("a2") == ["missed"]
    assert await withdrawn(stage) == []


async def test_a_glance_reads_the_days_around_today_alone(stage: Stage) -> None:
    poll = by_date(stage)
    await in_receipt(stage)
    await stage.epr.update(appointment("a1", "noshow", START - DAY))
    assert [event.id async for event in poll.glance("Appointment", START)] == ["a1"]


async def test_each_search_names_what_the_epr_insists_on() -> None:
    stage = a_stage(oracle, "oracle-health")
    with pytest.raises(EprRefused, match="location"):
        await stage.poll(DateWindowPoll(stage.site, stage.store.kept, window=WINDOW), "Appointment")

    await stage.poll(by_date(stage), "Appointment")

    assert isinstance(stage.epr, VendorEpr)
    searches = [parameters for kind, parameters in stage.epr.asked if kind == "Appointment"]
    assert {parameters["location"] for parameters in searches} == {"north", "south"}
    assert all([bound[:2] for bound in parameters["date"]] == ["ge", "lt"] for parameters in searches)


async def test_episodes_are_asked_for_by_patient_where_nothing_else_is_offered() -> None:
    stage = a_stage(epic, "epic")
    by_patient = PatientPoll(stage.site, stage.store.kept)
    episode = {
        "resourceType": "EpisodeOfCare",
        "id": "e1",
        "status": "active",
        "patient": {"reference": "Patient/p1"},
        "period": {"start": "2026-01-05"},
    }
    await in_receipt(stage)
    await stage.epr.update(episode)
    await stage.poll(by_date(stage), "Appointment")
    assert await stage.poll(by_patient, "EpisodeOfCare") == []

    stage.clock.time += DAY
    await stage.epr.update({**episode, "status": "finished", "period": {"start": "2026-01-05", "end": "2026-03-03"}})
    assert await stage.poll(by_patient, "EpisodeOfCare") == [Event(type="EpisodeOfCare", id="e1")]
    assert [fact.status for fact in (await stage.known()).facts if isinstance(fact, Episode)] == ["active", "finished"]

    await stage.epr.delete("EpisodeOfCare/e1")
    stage.clock.time += DAY
    await stage.poll(by_patient, "EpisodeOfCare")
    assert [fact.erased for fact in (await stage.known()).facts if isinstance(fact, Episode)] == [False, False, True]


async def test_by_patient_the_appointments_are_found_too() -> None:
    stage = a_stage(oracle, "oracle-health")
    await in_receipt(stage)
    await stage.store.accept("main", [Event(type="Patient", id="p1")], START)
    await stage.service.digest()
    stage.clock.time += DAY
    await stage.epr.update(appointment("a1", "noshow", START))

    await stage.poll(PatientPoll(stage.site, stage.store.kept), "Appointment")

    assert await stage.states("a1") == ["missed"]


async def test_a_decision_is_made_on_what_the_epr_has_now(stage: Stage) -> None:
    """Between two readings of the window, somebody may have booked another appointment."""
    poll = by_date(stage)
    await two_misses(stage, poll)
    await stage.epr.update(appointment("a3", "fulfilled", START + timedelta(hours=1)))

    stage.clock.time += 30 * DAY
    await stage.service.advance([PATIENT])

    assert await stage.states("a3") == ["attended"]


async def test_an_epr_that_always_says_version_1_is_compared_by_what_it_says() -> None:
    class Uncounted(VendorEpr):
        def _shown(self, resource: Resource) -> Resource:
            shown = super()._shown(resource)
            return {**shown, "meta": {"versionId": "1", "lastUpdated": "2026-01-01T00:00:00Z"}}

    stage = a_stage(lambda clock: Uncounted("epic", clock), "epic")
    poll = by_date(stage)
    await in_receipt(stage)
    await stage.epr.update(appointment("a1", "booked", START - DAY))
    await stage.poll(poll, "Appointment")
    stage.clock.time += timedelta(hours=1)
    await stage.epr.update(appointment("a1", "noshow", START - DAY))
    await stage.poll(poll, "Appointment")
    stage.clock.time += timedelta(hours=1)
    assert await stage.poll(poll, "Appointment") == []

    assert await stage.states("a1") == ["booked", "missed"]
    facts = [fact for fact in (await stage.known()).facts if fact.source.id == "a1"]
    assert [fact.known for fact in facts] == [datetime(2026, 1, 1, tzinfo=UTC), START + timedelta(hours=1)]


# EPRs that can be asked what changed


class Plain(MemoryEpr):
    """An EPR with everything; counts the searches."""

    searches = 0

    async def search(self, resource_type: str, parameters: Mapping[str, Any]) -> AsyncIterator[Resource]:
        self.searches += 1
        async for found in super().search(resource_type, parameters):
            yield found


@pytest.mark.parametrize("way", [LastUpdatedPoll, HistoryPoll])
async def test_what_changed_is_asked_for_and_nothing_comes_twice(way: type[Poll]) -> None:
    stage = a_stage(lambda clock: Plain("main", clock), "uk-core")
    poll = way(stage.site, stage.store.kept)
    await in_receipt(stage)
    stage.clock.time += timedelta(hours=1)
    assert await stage.poll(poll, "Appointment", back=timedelta(hours=2)) != []
    assert await stage.poll(poll, "Appointment", back=timedelta(hours=2)) == []

    await stage.epr.update(appointment("a0", "noshow", START - 21 * DAY))
    await stage.epr.update(appointment("a0", "fulfilled", START - 21 * DAY))
    stage.clock.time += timedelta(minutes=1)
    await stage.poll(poll, "Appointment", back=timedelta(minutes=10))

    assert await stage.states("a0") == ["attended", "missed", "attended"]


async def test_history_tells_of_deletions() -> None:
    stage = a_stage(lambda clock: Plain("main", clock), "uk-core")
    poll = HistoryPoll(stage.site, stage.store.kept)
    await in_receipt(stage)
    await stage.poll(poll, "Appointment", back=timedelta(minutes=1))
    stage.clock.time += timedelta(hours=1)
    await stage.epr.delete("Appointment/a0")

    await stage.poll(poll, "Appointment", back=timedelta(minutes=1))
    assert await stage.states("a0") == ["attended", "gone"]
    assert await stage.poll(poll, "Appointment", back=timedelta(hours=1)) == []


async def test_a_long_time_is_asked_for_day_by_day() -> None:
    stage = a_stage(lambda clock: Plain("main", clock), "uk-core")
    assert isinstance(stage.epr, Plain)
    await in_receipt(stage)
    stage.clock.time += timedelta(hours=1)
    poll = LastUpdatedPoll(stage.site, stage.store.kept)
    found = [event.id async for event in poll.look("Appointment", START - 3 * DAY, stage.clock.time)]
    assert found == ["a0"]
    assert stage.epr.searches == 4
