"""From a decided notice to a receiver's word about it: what is sent, once, and what follows from what is heard."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from fhirbridge.channels import Dispatch, Told
from fhirbridge.core.deliveries import Report, Stage
from fhirbridge.core.vocabulary import BASE
from fhirbridge.errors import ChannelRefused, ChannelUnavailable
from fhirbridge.fhir.directory import Directory
from fhirbridge.fhir.directory_file import read_directory
from fhirbridge.ports import Resource
from fhirbridge.service import Service
from fhirbridge.service.addressing import Addressing, Way
from fhirbridge.service.sending import CLAIM
from tests.channel_double import ChannelDouble
from tests.shipped import shipped_pack
from tests.unit.stage import PATIENT, START
from tests.unit.stage import Stage as ServiceStage

PACK = shipped_pack("discharge-planning")
GP = "https://gp.example/fhir"
DIRECTORY = read_directory(
    {
        "organisations": [
            {
                "ods": "A81001",
                "name": "Example Surgery",
                "references": ["Organization/gp1"],
                "channel": "fhir",
                "endpoint": GP,
                "telephone": "0161 496 0000",
            }
        ],
        "roles": {
            "housing": {"display": "Housing", "ods": "HOUSING1", "channel": "fhir", "endpoint": "https://h.example"},
            "agency": {"display": "Agencies", "channel": "epr"},
        },
    },
    "directory.yaml",
)
ADDRESSING = Addressing(ways={"fhir": Way(Stage.RECEIVED, "P5D")}, chase="1WD")


class Died(BaseException):
    """The process was killed."""


class Desk(ServiceStage):
    """A service that sends, and a patient whose discharge is planned."""

    def __init__(self, directory: Directory = DIRECTORY) -> None:
        super().__init__()
        self.channel = ChannelDouble()
        self.open(directory)

    def open(self, directory: Directory = DIRECTORY) -> None:
        """Start the service, or start it again: all that it held in memory is gone."""
        self.site = replace(self.site, packs=(PACK,), directory=directory, addressing=ADDRESSING)
        self.service = Service(self.store, {"main": self.site}, self.clock, {"fhir": self.channel})

    async def planned(self, **patient: Any) -> None:
        gp = {"generalPractitioner": [{"reference": "Organization/gp1"}]}
        await self.enter({"resourceType": "Patient", "id": "p1", "birthDate": "1980-01-01", **gp, **patient})
        subject = {"reference": "Patient/p1"}
        period = {"start": "2026-01-05"}
        await self.enter(
            {"resourceType": "EpisodeOfCare", "id": "e1", "status": "active", "patient": subject, "period": period}
        )
        for identity, signal in (("linked", "agency-linked"), ("ready", "ready-for-discharge")):
            code = {"coding": [{"system": f"{BASE}/CodeSystem/signal", "code": signal}]}
            flag = {"resourceType": "Flag", "id": identity, "status": "active", "subject": subject, "code": code}
            await self.enter({**flag, "period": {"start": START.isoformat()}})
        await self.settle()

    async def after(self, **time: int) -> None:
        self.clock.time += timedelta(**time)
        await self.settle()

    async def notice(self, role: str = "gp") -> Resource:
        """The notice of the planned discharge to this role."""
        found = [one async for one in self.epr.search("Communication", {"patient": "Patient/p1"})]
        (mine,) = [one for one in found if one["extension"][0]["valueCode"] == role]
        return mine

    async def asked(self, action: str) -> list[Resource]:
        return [task for task in await self.tasks() if task["code"]["coding"][0]["code"] == action]

    def key(self, name: str = "Organization/gp1") -> str:
        (key,) = [key for key, one in self.channel.arrived.items() if one.recipient.name == name]
        return key

    async def hear(self, report: Report, *, code: str = "", says: str = "", happened: datetime | None = None) -> None:
        """The GP's system says something of the notice."""
        told = Told(about=self.key(), report=report, happened=happened or self.clock.now(), code=code, says=says)
        self.channel.reports.append(told)
        await self.settle()


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def test_a_notice_goes_to_whom_the_record_names_and_the_communication_says_when() -> None:
    desk = Desk()
    await desk.planned()
    sent = {one.recipient.name: one for one in desk.channel.arrived.values()}
    assert set(sent) == {"Organization/gp1", "ods:HOUSING1"}
    assert sent["Organization/gp1"].communication["payload"][0]["contentString"]
    assert sent["Organization/gp1"].person is not None
    notice = await desk.notice()
    assert notice["status"] == "in-progress"
    assert instant(notice["sent"]) == START
    assert "received" not in notice
    assert (await desk.notice("agency"))["status"] == "completed"


async def test_without_channels_every_notice_counts_as_handed_over_at_once() -> None:
    desk = Desk()
    desk.site = replace(desk.site, addressing=None)
    desk.service = Service(desk.store, {"main": desk.site}, desk.clock)
    await desk.planned()
    assert (await desk.notice())["status"] == "completed"
    assert desk.channel.tries == []


async def test_a_good_word_completes_it_with_the_time_of_receipt() -> None:
    desk = Desk()
    await desk.planned()
    await desk.after(hours=2)
    await desk.hear(Report.BUSINESS_GOOD)
    notice = await desk.notice()
    assert (notice["status"], instant(notice["received"])) == ("completed", START + timedelta(hours=2))
    await desk.after(days=10)
    assert [each for each in await desk.asked("confirm-received") if "Surgery" in each["description"]] == []


async def test_silence_beyond_the_deadline_asks_the_team_with_a_telephone_number() -> None:
    desk = Desk()
    await desk.planned()
    await desk.after(days=5, seconds=-1)
    assert await desk.asked("confirm-received") == []
    await desk.after(seconds=1)
    tasks = await desk.asked("confirm-received")
    (task,) = [each for each in tasks if "Example Surgery" in each["description"]]
    assert "Example Surgery: 0161 496 0000" in task["description"]
    assert "Housing: no telephone number known" in next(each["description"] for each in tasks if each is not task)
    assert task["performerType"][0]["coding"][0]["code"] == "team-manager"
    because = next(each["valueString"] for each in task["input"] if each["type"]["text"] == "because")
    assert "had not confirmed by Saturday 7 March 2026 at 09:00" in because
    notice = await desk.notice()
    assert notice["status"] == "in-progress"
    assert "had not confirmed" in notice["statusReason"]["text"]


async def test_a_later_good_word_closes_that_task() -> None:
    desk = Desk()
    await desk.planned()
    await desk.hear(Report.INFRASTRUCTURE_GOOD, code="20013")
    await desk.after(hours=6)
    await desk.hear(Report.BUSINESS_BAD, code="30002", says="Patient not known here")
    (task,) = await desk.asked("confirm-received")
    assert task["status"] == "requested"
    assert "does not take it" in (await desk.notice())["statusReason"]["text"]
    await desk.after(hours=1)
    await desk.hear(Report.BUSINESS_GOOD, code="30001")
    (task,) = await desk.asked("confirm-received")
    assert task["status"] == "completed"
    assert task["output"][0]["valueCodeableConcept"]["coding"][0]["code"] == "done"
    notice = await desk.notice()
    assert notice["status"] == "completed"
    assert notice["statusReason"]["text"] == "It has been confirmed after all."


async def test_not_known_here_after_all_asks_again() -> None:
    desk = Desk()
    await desk.planned()
    await desk.hear(Report.BUSINESS_BAD, code="30002")
    await desk.after(hours=1)
    await desk.hear(Report.BUSINESS_GOOD, code="30001")
    await desk.after(hours=1)
    await desk.hear(Report.BUSINESS_BAD, code="30003")
    assert [task["status"] for task in await desk.asked("confirm-received")] == ["completed", "requested"]


async def test_that_the_patient_has_died_is_said_in_so_many_words() -> None:
    desk = Desk()
    await desk.planned()
    await desk.hear(Report.DECEASED, code="30004")
    (task,) = await desk.asked("confirm-received")
    because = next(each["valueString"] for each in task["input"] if each["type"]["text"] == "because")
    assert "Example Surgery says that the patient has died (30004)" in because


async def test_staff_who_confirm_it_by_hand_complete_the_communication() -> None:
    desk = Desk()
    await desk.planned()
    await desk.hear(Report.INFRASTRUCTURE_BAD, code="10001")
    (task,) = await desk.asked("confirm-received")
    await desk.after(hours=3)
    await desk.enter({**task, "status": "completed"})
    await desk.settle()
    notice = await desk.notice()
    assert (notice["status"], instant(notice["received"])) == ("completed", START + timedelta(hours=3))
    assert notice["statusReason"]["text"] == "It has been confirmed after all."
    await desk.after(days=6)
    assert len([each for each in await desk.asked("confirm-received") if "Surgery" in each["description"]]) == 1


async def test_a_report_heard_twice_changes_nothing() -> None:
    desk = Desk()
    await desk.planned()
    await desk.hear(Report.BUSINESS_GOOD, happened=START)
    effects = len((await desk.store.load(PATIENT)).effects)
    await desk.hear(Report.BUSINESS_GOOD, happened=START)
    assert len((await desk.store.load(PATIENT)).effects) == effects
    assert len(desk.channel.forgot) == 2


async def test_a_destination_that_is_away_is_tried_again_and_holds_up_no_other() -> None:
    desk = Desk()
    desk.channel.fails[GP] = ChannelUnavailable("away")
    await desk.planned()
    assert [one.recipient.name for one in desk.channel.arrived.values()] == ["ods:HOUSING1"]
    assert (await desk.notice())["status"] == "preparation"
    tries = len(desk.channel.tries)
    await desk.settle()
    assert len(desk.channel.tries) == tries
    desk.channel.fails.clear()
    await desk.after(seconds=1)
    assert (await desk.notice())["status"] == "in-progress"


async def test_what_cannot_be_handed_over_in_time_is_asked_for_and_goes_out_all_the_same() -> None:
    desk = Desk()
    desk.channel.fails[GP] = ChannelUnavailable("away")
    await desk.planned()
    await desk.after(days=5)
    assert any("Surgery" in each["description"] for each in await desk.asked("confirm-received"))
    notice = await desk.notice()
    assert notice["status"] == "preparation"
    assert "could not be handed over for Example Surgery" in notice["statusReason"]["text"]
    desk.channel.fails.clear()
    await desk.after(minutes=6)
    await desk.hear(Report.BUSINESS_GOOD)
    assert (await desk.notice())["status"] == "completed"


async def test_what_the_channel_refuses_is_the_teams_at_once() -> None:
    desk = Desk()
    desk.channel.fails[GP] = ChannelRefused("there is no such mailbox; check the directory")
    await desk.planned()
    (task,) = await desk.asked("confirm-received")
    because = next(each["valueString"] for each in task["input"] if each["type"]["text"] == "because")
    assert "there is no such mailbox" in because
    notice = await desk.notice()
    assert notice["status"] == "preparation"
    assert "sent" not in notice
    await desk.after(hours=1)
    assert desk.channel.tries.count(desk.channel.tries[0]) == 1


async def test_a_crash_between_hand_over_and_record_sends_nothing_twice() -> None:
    desk = Desk()
    desk.channel.dies_after = Died()
    with pytest.raises((Died, BaseExceptionGroup)):
        await desk.planned()
    assert len(desk.channel.arrived) > 0
    desk.channel.dies_after = None
    desk.open()
    await desk.settle()
    before = list(desk.channel.tries)
    desk.clock.time += CLAIM
    await desk.settle()
    assert len(desk.channel.tries) > len(before)
    assert len(desk.channel.arrived) == 2
    assert {one.recipient.name for one in desk.channel.arrived.values()} == {"Organization/gp1", "ods:HOUSING1"}
    assert (await desk.notice())["status"] == "in-progress"
    await desk.after(hours=1)
    assert desk.channel.tries.count(desk.key()) == 2


async def test_a_notice_taken_back_before_it_was_sent_never_leaves() -> None:
    desk = Desk()
    desk.channel.fails[GP] = ChannelUnavailable("away")
    await desk.planned()
    flag = await desk.epr.read("Flag/ready")
    assert flag is not None
    await desk.enter({**flag, "status": "entered-in-error"})
    await desk.settle()
    desk.channel.fails.clear()
    await desk.after(hours=1)
    assert [one.recipient.name for one in desk.channel.arrived.values() if one.recipient.role == "gp"] == []
    assert (await desk.notice())["status"] == "not-done"
    (housing,) = [one for one in desk.channel.arrived.values() if "correct" in str(one.communication["category"])]
    assert housing.recipient.name == "ods:HOUSING1"


async def test_nobody_to_send_it_to_becomes_a_task_and_goes_out_when_the_directory_knows() -> None:
    desk = Desk(replace(DIRECTORY, roles={}))
    await desk.planned()
    (task,) = [each for each in await desk.asked("resolve-recipient") if "Housing" in str(each["input"])]
    assert task["status"] == "requested"
    notice = await desk.notice("housing")
    assert notice["status"] == "preparation"
    assert "Nobody is known" in notice["statusReason"]["text"]
    desk.open(DIRECTORY)
    assert await desk.store.dispatches.look_again(desk.clock.now()) == 1
    await desk.after(hours=1)
    notice = await desk.notice("housing")
    assert notice["status"] == "in-progress"
    assert notice["recipient"][0]["identifier"]["value"] == "HOUSING1"
    tasks = await desk.asked("resolve-recipient")
    assert {task["status"] for task in tasks} == {"completed"}
    assert (await desk.notice("agency"))["status"] == "completed"


async def test_a_practice_that_is_not_known_is_for_the_team_to_find() -> None:
    desk = Desk()
    unknown = {"identifier": {"system": "https://fhir.nhs.uk/Id/ods-organization-code", "value": "V81999"}}
    await desk.planned(generalPractitioner=[unknown])
    (task,) = await desk.asked("resolve-recipient")
    assert "The practice of the patient is not known (V81999)" in str(task["input"])
    await desk.after(hours=1)
    patient = await desk.epr.read("Patient/p1")
    assert patient is not None
    await desk.enter({**patient, "generalPractitioner": [{"reference": "Organization/gp1"}]})
    await desk.settle()
    assert (await desk.notice())["status"] == "in-progress"
    (task,) = await desk.asked("resolve-recipient")
    assert task["status"] == "completed"


async def test_a_channel_that_is_not_set_up_is_said_so_and_nothing_is_dropped() -> None:
    desk = Desk()
    desk.site = replace(desk.site, addressing=Addressing())
    desk.service = Service(desk.store, {"main": desk.site}, desk.clock)
    await desk.planned()
    (gp,) = [each for each in await desk.asked("resolve-recipient") if "Surgery" in str(each["input"])]
    assert "is reached by fhir, which is not set up here" in str(gp["input"])


async def test_an_answer_of_the_gp_completes_the_task_to_have_them_agree() -> None:
    desk = Desk()
    await desk.planned()
    (task,) = await desk.asked("confirm-gp-monitoring")
    await desk.hear(Report.BUSINESS_GOOD)
    (task,) = await desk.asked("confirm-gp-monitoring")
    assert task["status"] == "requested", "that it arrived is no agreement"
    await desk.after(hours=1)
    await desk.hear(Report.ANSWERED, says="We will monitor.")
    (task,) = await desk.asked("confirm-gp-monitoring")
    assert task["status"] == "completed"


class Register:
    """Where practices are looked up."""

    def __init__(self, ods: str = "", error: Exception | None = None) -> None:
        self.ods = ods
        self.error = error
        self.asked: list[Resource] = []

    async def practice_of(self, patient: Resource) -> str:
        self.asked.append(patient)
        if self.error:
            raise self.error
        return self.ods


async def test_a_practice_that_the_record_does_not_name_is_looked_up() -> None:
    desk = Desk()
    register = Register("A81001")
    desk.site = replace(desk.site, practices=register)
    desk.service = Service(desk.store, {"main": desk.site}, desk.clock, {"fhir": desk.channel})
    await desk.planned(generalPractitioner=[])
    assert register.asked[0]["id"] == "p1"
    assert {one.recipient.name for one in desk.channel.arrived.values()} == {"ods:A81001", "ods:HOUSING1"}
    assert (await desk.notice())["recipient"][0]["identifier"]["value"] == "A81001"


async def test_one_that_it_does_name_is_not() -> None:
    desk = Desk()
    register = Register("A81002")
    desk.site = replace(desk.site, practices=register)
    desk.service = Service(desk.store, {"main": desk.site}, desk.clock, {"fhir": desk.channel})
    await desk.planned()
    assert register.asked == []


@pytest.mark.parametrize("register", [Register(), Register("V81999"), Register(error=ChannelUnavailable("away"))])
async def test_one_that_cannot_be_found_is_for_the_team(register: Register) -> None:
    desk = Desk()
    desk.site = replace(desk.site, practices=register)
    desk.service = Service(desk.store, {"main": desk.site}, desk.clock, {"fhir": desk.channel})
    await desk.planned(generalPractitioner=[])
    assert len(await desk.asked("resolve-recipient")) == 1
    assert (await desk.notice())["status"] == "preparation"


async def test_what_was_taken_back_needs_no_recipient_any_more() -> None:
    desk = Desk(replace(DIRECTORY, roles={}))
    await desk.planned()
    flag = await desk.epr.read("Flag/ready")
    assert flag is not None
    await desk.after(minutes=1)
    await desk.enter({**flag, "status": "entered-in-error"})
    await desk.settle()
    assert {task["status"] for task in await desk.asked("resolve-recipient")} == {"cancelled"}
    assert (await desk.notice("housing"))["status"] == "not-done"


async def test_nothing_more_is_asked_for_where_staff_gave_up_on_it() -> None:
    desk = Desk()
    await desk.planned()
    await desk.hear(Report.BUSINESS_BAD, code="30002")
    (task,) = await desk.asked("confirm-received")
    await desk.after(hours=1)
    await desk.enter({**task, "status": "rejected"})
    await desk.settle()
    await desk.after(days=1)
    (task,) = await desk.asked("confirm-received")
    assert task["status"] == "rejected"
    assert (await desk.notice())["status"] == "in-progress"


async def test_a_report_about_nothing_that_was_sent_is_left_alone() -> None:
    desk = Desk()
    await desk.planned()
    desk.channel.reports.append(Told(about="msg-9", report=Report.BUSINESS_GOOD, happened=START))
    await desk.settle()
    assert desk.channel.reports == []
    assert (await desk.notice())["status"] == "in-progress"


async def test_a_channel_that_cannot_be_asked_holds_up_nothing() -> None:
    desk = Desk()
    await desk.planned()
    desk.channel.says_nothing = ChannelUnavailable("away", retry_after=60)
    await desk.hear(Report.BUSINESS_GOOD)
    await desk.after(seconds=59)
    assert (await desk.notice())["status"] == "in-progress"
    desk.channel.says_nothing = None
    await desk.after(seconds=1)
    assert (await desk.notice())["status"] == "completed"


async def test_nothing_empty_is_ever_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()
    kept = desk.store.dispatches.to_send

    async def without_words(now: datetime, limit: int) -> list[Dispatch]:
        return [replace(each, communication={}) for each in await kept(now, limit)]

    monkeypatch.setattr(desk.store.dispatches, "to_send", without_words)
    await desk.planned()
    assert desk.channel.tries == []
    assert "is no longer kept; send it by hand" in (await desk.notice())["statusReason"]["text"]
