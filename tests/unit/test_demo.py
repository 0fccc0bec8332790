"""The sample caseload is what it should be, and the story's time and the machine's lead to one another."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from nhs_number.validate import is_valid
from typer.testing import CliRunner

from fhirbridge.cli import app
from fhirbridge.core.calendar import Calendar
from fhirbridge.demo.letterhead import letterhead
from fhirbridge.demo.people import instant, read_caseload
from fhirbridge.demo.story_time import StoryClock, StoryEpr
from fhirbridge.demo.telling import news
from fhirbridge.packs.loading import load_pack
from fhirbridge.ports import Delivery, Event, Receipt, Resource
from fhirbridge.settings import Settings
from fhirbridge.wiring.letters import lint_letters
from fhirbridge.wiring.policies import calendar_of

CASELOAD = read_caseload()
CALENDAR = Calendar()
MACHINE = datetime(2030, 5, 1, 12, tzinfo=UTC)
STORY = datetime(2026, 3, 2, 8, tzinfo=UTC)


def test_there_are_twelve_people_and_more_each_with_a_test_number() -> None:
    numbers = [person.nhs_number for person in CASELOAD.people]

    assert len(set(numbers)) == len(numbers) >= 12
    assert all(number.startswith("999") and is_valid(number) for number in numbers)
    assert len({person.id for person in CASELOAD.people}) == len(numbers)
    assert all(re.fullmatch(r"[a-z-]{1,40}", person.id) for person in CASELOAD.people)


@pytest.mark.parametrize("person", CASELOAD.people, ids=lambda person: str(person.id))
def test_everybody_lives_somewhere_that_is_nowhere(person: Any) -> None:
    street, town, postcode = person.address.split(", ")
    assert street
    assert town
    assert re.fullmatch(r"ZZ99 \d[A-Z]{2}", postcode)


def test_every_letter_can_be_set_on_the_letterhead_of_a_trust_that_does_not_exist() -> None:
    head = letterhead(CASELOAD.service)
    calendar = calendar_of("Europe/London", "ENG")
    packs = [load_pack("rdash-disengagement", calendar=calendar)]
    assert list(lint_letters(Settings.model_construct(letters=head), packs, calendar)) == []
    # Numbers that Ofcom keeps for drama, and a name that nobody can register (RFC 2606).
    assert re.fullmatch(r"01632 960\d{3}", head.phone)
    assert re.fullmatch(r"0808 157 0\d{3}", head.crisis_phone)
    assert head.website.endswith(".example")
    assert head.email.endswith(".example")


@pytest.mark.parametrize("person", CASELOAD.people, ids=lambda person: str(person.id))
def test_every_event_is_one_thing_inside_the_story(person: Any) -> None:
    begins, ends = instant(CASELOAD.begins, CALENDAR), instant(CASELOAD.ends, CALENDAR)
    ats = [instant(event.at, CALENDAR) for event in person.events]

    assert ats == sorted(ats)
    assert begins < ats[0]
    assert ats[-1] < ends
    for event in person.events:
        kinds = (event.missed, event.attended, event.booked, event.cancelled_by_provider, event.answered, event.wrote)
        assert sum(kind is not None for kind in kinds) == 1


class Watch:
    """The machine's time, a little later each time that it is looked at."""

    def __init__(self, step: timedelta) -> None:
        self._step = step
        self.time = MACHINE

    def __call__(self) -> datetime:
        self.time += self._step
        return self.time


def test_a_stamp_of_the_machine_is_the_moment_that_the_story_had_come_to() -> None:
    watch = Watch(timedelta(seconds=1))
    clock = StoryClock(STORY, watch)
    before = watch.time + timedelta(milliseconds=500)
    later = STORY + timedelta(days=3)

    clock.move(later)

    assert clock.now() == later
    assert clock.in_story(before) == STORY
    assert clock.in_story(watch.time) == later
    assert clock.in_story(MACHINE - timedelta(days=1)) == STORY


def test_moves_are_told_apart_even_within_a_millisecond() -> None:
    watch = Watch(timedelta(microseconds=100))
    clock = StoryClock(STORY, watch)
    stamped = []
    for day in range(1, 4):
        clock.move(STORY + timedelta(days=day))
        stamped.append(watch.time.replace(microsecond=watch.time.microsecond // 1000 * 1000))

    assert [clock.in_story(stamp) for stamp in stamped] == [STORY + timedelta(days=day) for day in range(1, 4)]


def test_what_changed_since_a_moment_is_asked_for_in_the_machines_time() -> None:
    watch = Watch(timedelta(seconds=1))
    clock = StoryClock(STORY, watch)
    first = watch.time
    clock.move(STORY + timedelta(days=1))
    second = watch.time

    assert clock.on_machine(STORY - timedelta(days=9)) == first
    assert clock.on_machine(STORY + timedelta(hours=1)) == second
    assert clock.on_machine(STORY + timedelta(days=9)) == second


class Kept:
    """An EPR with one resource, and what it was asked for."""

    name = "sample"

    def __init__(self, resource: Resource) -> None:
        self.resource = resource
        self.asked: list[object] = []

    async def capability(self) -> Resource:
        return {}

    async def read(self, reference: str) -> Resource | None:
        return self.resource if reference == "Patient/p" else None

    async def history(self, reference: str) -> list[Resource]:
        return [self.resource]

    async def invoke(self, path: str) -> Resource:
        return {}

    async def search(
        self, resource_type: str, parameters: Mapping[str, str | Sequence[str]]
    ) -> AsyncIterator[Resource]:
        self.asked.append(parameters)
        yield self.resource

    async def changes(self, resource_type: str, since: datetime) -> AsyncIterator[Event]:
        self.asked.append(since)
        yield Event(type=resource_type, id="p", resource=self.resource)
        yield Event(type=resource_type, id="q", deleted=True)

    async def deliver(self, deliveries: Sequence[Delivery], references: dict[str, str]) -> list[Receipt]:
        return []

    async def create(self, resource: Resource) -> Resource:
        return resource

    async def update(self, resource: Resource) -> Resource:
        return resource


async def test_what_an_epr_tells_is_told_in_the_storys_time() -> None:
    clock = StoryClock(STORY, Watch(timedelta(seconds=1)))
    kept = Kept({"resourceType": "Patient", "id": "p", "meta": {"lastUpdated": "2030-05-01T12:00:05.000Z"}})
    epr = StoryEpr(kept, clock)
    retold = "2026-03-02T08:00:00Z"

    read = await epr.read("Patient/p")
    found = [match async for match in epr.search("Patient", {"_lastUpdated": "ge2026-03-02T08:00:00Z"})]
    bounds = {"_lastUpdated": ["ge2026-03-02T08:00:00Z", "lt2026-03-02T08:00:00Z"], "status": "noshow"}
    assert len([match async for match in epr.search("Appointment", bounds)]) == 1
    [changed, gone] = [event async for event in epr.changes("Patient", STORY)]

    assert read is not None
    assert changed.resource is not None
    assert (gone.resource, gone.deleted) == (None, True)
    told = (read, changed.resource, *found, *await epr.history("Patient/p"))
    assert [one["meta"]["lastUpdated"] for one in told] == [retold] * 4
    assert await epr.read("Patient/q") is None
    assert kept.asked == [
        {"_lastUpdated": ["ge2030-05-01T12:00:01Z"]},
        {"_lastUpdated": ["ge2030-05-01T12:00:01Z", "lt2030-05-01T12:00:02Z"], "status": "noshow"},
        datetime(2030, 5, 1, 12, 0, 1, tzinfo=UTC),
    ]


def test_a_sentence_is_told_once() -> None:
    told: set[str] = set()

    assert news("One. “Two” is due.", told) == "One. “Two” is due."
    assert news("One. Three.", told) == "Three."


@pytest.fixture
def without_sample_epr(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.usefixtures("without_sample_epr")
def test_without_the_sample_epr_the_extra_is_named() -> None:
    done = CliRunner().invoke(app, ["demo", "--exit"])

    assert (done.exit_code, done.stdout) == (2, "")
    assert "fhirbridge[demo]" in done.stderr
    assert done.stderr.count("\n") == 1
