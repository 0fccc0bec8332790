"""Whatever an EPR can take: each decision's resource, and why it was made, is to be found somewhere."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from fhirbridge.adapters.limited_epr import LimitedEpr
from fhirbridge.adapters.memory_store import MemoryStore
from fhirbridge.core.decision import Create, Write
from fhirbridge.core.effects import Kind
from fhirbridge.errors import EprRefused, EprUnavailable
from fhirbridge.fhir.canonical import OBLIGATION
from fhirbridge.fhir.capability import Way
from fhirbridge.fhir.linking import write_code
from fhirbridge.fhir.render import Outgoing, Rendering, render
from fhirbridge.ports import Listed, Receipt, Resource, Subject, Wanted
from fhirbridge.service import Service, Site
from fhirbridge.service.completing import Completion, complete
from tests.clock_double import ClockDouble
from tests.shipped import shipped_mapping
from tests.unit.fhir import writes

ANN = Subject("trust", "Patient/p1")
MAPPING = shipped_mapping()
STATEMENTS = Path(__file__).parent / "fhir" / "capabilities"
CREATED = (writes.CARE_PLAN, writes.TASK, writes.FLAG, writes.LETTER)


def recorded(name: str) -> Resource:
    statement: Resource = orjson.loads((STATEMENTS / f"{name}.json").read_bytes())
    return statement


def without_transactions() -> Resource:
    statement = recorded("everything")
    rest = [{**one, "interaction": []} for one in statement["rest"]]
    return {**statement, "rest": rest}


def offering(*kinds: Resource) -> Resource:
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "fhirVersion": "4.0.1",
        "rest": [{"mode": "server", "resource": list(kinds)}],
    }


def kind(name: str, *interactions: str, parameters: tuple[str, ...] = (), **more: Any) -> Resource:
    codes = [{"code": code} for code in interactions]
    return {"type": name, "interaction": codes, "searchParam": [{"name": one} for one in parameters], **more}


DOCUMENTS = offering(kind("DocumentReference", "create", "update", "read", "search-type", parameters=("patient",)))
STATES = {
    "epic": recorded("epic"),
    "oracle-health": recorded("oracle-health"),
    "everything": recorded("everything"),
    "one by one": without_transactions(),
    "chosen ids": offering(
        *(kind(one, "read", "update", "create", updateCreate=True) for one in (*Kind, "Provenance"))
    ),
    "documents": DOCUMENTS,
    "nothing": offering(kind("Patient", "read")),
}


class Bench:
    """A service over an EPR with these capabilities, and a patient."""

    def __init__(self, statement: Resource, ways: dict[str, Way] | None = None) -> None:
        self.clock = ClockDouble(datetime(2026, 3, 28, 10, 5, tzinfo=UTC))
        self.epr = LimitedEpr("trust", self.clock, statement)
        self.store = MemoryStore()
        self.site = Site(epr=self.epr, mapping=MAPPING, packs=(), writes=ways or {})
        self.service = Service(self.store, {"trust": self.site}, self.clock)

    async def decided(self, *written: tuple[Write, Rendering]) -> list[Outgoing]:
        rows = [render(write, setting) for write, setting in written]
        seen = await self.store.load(ANN)
        await self.store.commit(
            ANN, effects=(), outgoing=rows, wakes_at=None, decided_at=self.clock.now(), revision=seen.revision
        )
        return rows

    async def delivered(self, *written: tuple[Write, Rendering]) -> list[Outgoing]:
        rows = await self.decided(*written)
        assert await self.service.deliver() == len(rows)
        assert await self.store.undelivered(self.clock.now(), 10) == []
        return rows

    async def native(self, resource_type: str) -> list[Resource]:
        """All there is of a type, whatever the EPR lets itself be asked."""
        return [one for one in self.epr.contents() if one["resourceType"] == resource_type]

    async def listed(self, *types: str) -> list[Listed]:
        return await self.store.worklist.search(Wanted(types=types))

    async def of(self, identity: str) -> Resource:
        """Where the thing itself is, in the EPR or on the worklist, whichever is newer."""
        here = await self.store.worklist.search(Wanted(identities=(identity,)))
        there = [one for one in self.epr.contents() if _identity(one) == identity]
        (found,) = [one.resource for one in here] or there
        return found


def _identity(resource: Resource) -> str:
    return next((one["value"] for one in resource.get("identifier", []) if one["system"] == OBLIGATION), "")


def created(*about: Any) -> list[tuple[Write, Rendering]]:
    return [(Create(one), writes.SETTING) for one in about]


async def whys(bench: Bench, rows: Sequence[Outgoing]) -> None:
    """Each write has its Provenance, once, in the EPR or on the worklist, and that names what is there."""
    here = [one.resource for one in await bench.listed("Provenance")]
    there = await bench.native("Provenance")
    for row in rows:
        code = write_code(row.provenance)
        found = [one for one in here if write_code(one) == code]
        assert len(found or [one for one in there if write_code(one) == code]) == 1, row.type
    for provenance in (*here, *there):
        (target,) = provenance["target"]
        kept = await bench.store.worklist.read(target["reference"])
        assert kept is not None or target["reference"] in {
            f"{one['resourceType']}/{one['id']}" for one in bench.epr.contents()
        }


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("end", [writes.complete, writes.withdraw], ids=["completed", "withdrawn"])
async def test_every_type_at_every_epr_is_somewhere_with_its_reasons(state: str, end: Any) -> None:
    bench = Bench(STATES[state])
    rows = await bench.delivered(*created(*CREATED))
    for about in CREATED:
        stands = await bench.of(about.identity)
        assert stands["resourceType"] == about.kind.value
        assert stands["status"] in {"requested", "active", "preparation"}
    bench.clock.time += timedelta(days=2)
    rows += await bench.delivered(*((writes.amend(one), writes.LATER) for one in (writes.TASK, writes.CARE_PLAN)))
    assert (await bench.of(writes.TASK.identity))["priority"] == "urgent"
    rows += await bench.delivered(*((end(one), writes.LATER) for one in CREATED))
    ended = {"completed", "cancelled", "inactive", "revoked", "not-done"}
    for about in CREATED:
        assert (await bench.of(about.identity))["status"] in ended
    await whys(bench, rows)


async def test_epic_is_told_in_messages_that_a_person_can_read() -> None:
    bench = Bench(STATES["epic"])
    await bench.delivered(*created(writes.TASK))
    (message,) = await bench.native("Communication")
    assert (message["status"], message["subject"]) == ("completed", {"reference": "Patient/p1"})
    assert message["recipient"] == [{"reference": "CareTeam/north", "display": "North team, duty desk"}]
    assert message["payload"][0]["contentString"].splitlines() == [
        "To be done: Phone the patient and offer another appointment",
        "What: Phone the patient and offer another appointment. Use every number on record; leave a message that says "
        "nothing about the service. To be done by the end of Tuesday 31 March 2026.",
        "By whom: North team, duty desk",
        "Until when: 2026-03-31T23:59:59+01:00",
        "Why: The appointment on Monday 2 March 2026 at 10:00 was missed. The appointment on Friday 27 March 2026 at "
        "14:00 was missed.",
        "Policy: rdash-5.3-contact",
        "It can be completed on the worklist of fhirbridge, not here.",
    ]
    (task,) = await bench.listed("Task")
    assert (task.way, task.told) == ("communication", f"Communication/{message['id']}")
    assert _identity(message) != writes.TASK.identity


async def test_a_change_is_told_in_a_further_message_that_says_so() -> None:
    bench = Bench(STATES["epic"])
    await bench.delivered(*created(writes.TASK))
    (first,) = await bench.native("Communication")
    await bench.delivered((writes.withdraw(writes.TASK), writes.LATER))
    _, second = await bench.native("Communication")
    assert second["inResponseTo"] == [{"reference": f"Communication/{first['id']}", "type": "Communication"}]
    lines = second["payload"][0]["contentString"].splitlines()
    assert lines[:3] == [
        "No longer to be done: Phone the patient and offer another appointment",
        "This takes the place of what was written about it before.",
        "Why it ended: The record was corrected: what started this no longer stands in it. The appointment on Friday "
        "27 March 2026 is now recorded as attended.",
    ]


async def test_a_document_is_replaced_by_the_next_and_superseded() -> None:
    bench = Bench(DOCUMENTS)
    await bench.delivered(*created(writes.FLAG))
    await bench.delivered((writes.withdraw(writes.FLAG), writes.LATER))
    old, new = await bench.native("DocumentReference")
    assert (old["status"], new["status"]) == ("superseded", "current")
    target = {"reference": f"DocumentReference/{old['id']}", "type": "DocumentReference"}
    assert new["relatesTo"] == [{"code": "replaces", "target": target}]
    text = base64.b64decode(old["content"][0]["attachment"]["data"]).decode()
    assert text.startswith("To be seen: May be disengaging\nWhy: Asked for by rdash-5.3-contact.")


async def test_created_and_withdrawn_in_one_delivery_the_document_is_superseded_too() -> None:
    bench = Bench(DOCUMENTS)
    await bench.delivered(*created(writes.FLAG), (writes.withdraw(writes.FLAG), writes.LATER))
    assert [one["status"] for one in await bench.native("DocumentReference")] == ["superseded", "current"]


async def test_a_message_that_can_be_written_only_once_waits_until_it_is_final() -> None:
    bench = Bench(STATES["oracle-health"])
    await bench.delivered(*created(writes.LETTER))
    assert await bench.native("Communication") == []
    (waiting,) = await bench.listed("Communication")
    assert (waiting.way, waiting.told, waiting.resource["status"]) == ("native", "", "preparation")
    await bench.delivered((writes.complete(writes.LETTER), writes.LATER))
    (message,) = await bench.native("Communication")
    assert (message["status"], _identity(message)) == ("completed", writes.LETTER.identity)
    assert (await bench.listed("Communication"))[0].told == f"Communication/{message['id']}"


async def test_what_is_written_into_the_epr_does_not_refer_to_the_worklist() -> None:
    only_plans = offering(
        kind("CarePlan", "read", "create", "update", "search-type", parameters=("identifier",), conditionalCreate=True)
    )
    bench = Bench(only_plans)
    await bench.delivered(*created(writes.CARE_PLAN, writes.TASK))
    (plan,) = await bench.native("CarePlan")
    assert "activity" not in plan
    (task,) = await bench.listed("Task")
    assert task.resource["basedOn"] == [
        {"type": "CarePlan", "identifier": {"system": OBLIGATION, "value": writes.PLAN}}
    ]


async def test_the_settings_have_the_last_word() -> None:
    bench = Bench(STATES["everything"], {"Task": Way.OWN, "Provenance": Way.OWN})
    rows = await bench.delivered(*created(*CREATED))
    assert (await bench.native("Task"), await bench.native("Provenance")) == ([], [])
    assert [one.identity for one in await bench.listed("Task")] == [writes.TASK.identity]
    await whys(bench, rows)


async def test_a_thing_stays_where_it_was_created_when_the_epr_learns_more() -> None:
    bench = Bench(STATES["epic"])
    await bench.delivered(*created(writes.TASK))
    bench.epr = LimitedEpr("trust", bench.clock, STATES["everything"])
    site = Site(epr=bench.epr, mapping=MAPPING, packs=())
    bench.service = Service(bench.store, {"trust": site}, bench.clock)
    await bench.delivered((writes.withdraw(writes.TASK), writes.LATER))
    assert await bench.native("Task") == []
    assert (await bench.of(writes.TASK.identity))["status"] == "cancelled"
    assert len(await bench.native("Communication")) == 1


class Flickering(LimitedEpr):
    """Takes what it is sent, and the line breaks before it can say so."""

    breaks = False

    async def interact(self, entry: Resource) -> Resource:
        answer = await super().interact(entry)
        if self.breaks:
            raise EprUnavailable("the line broke")
        return answer


@pytest.mark.parametrize("state", ["epic", "oracle-health", "documents", "chosen ids"])
async def test_what_was_cut_off_is_delivered_once(state: str) -> None:
    bench = Bench(STATES[state])
    bench.epr = Flickering("trust", bench.clock, STATES[state])
    site = Site(epr=bench.epr, mapping=MAPPING, packs=())
    bench.service = Service(bench.store, {"trust": site}, bench.clock)
    bench.epr.breaks = True
    rows = await bench.decided(*created(writes.TASK, writes.FLAG))
    for _ in range(6):
        await bench.service.deliver()
        bench.clock.time += timedelta(minutes=10)
    bench.epr.breaks = False
    await bench.service.deliver()
    assert await bench.store.undelivered(bench.clock.now(), 10) == []
    for about in (writes.TASK, writes.FLAG):
        assert len([one for one in bench.epr.contents() if about.title in str(one.get("topic"))]) <= 1
    things = [one for one in bench.epr.contents() if one["resourceType"] not in {"Provenance"}]
    assert len(things) == 2
    await whys(bench, rows)


async def test_the_worklist_has_it_while_the_epr_is_away() -> None:
    bench = Bench(STATES["epic"])
    await bench.epr.capability()

    class Away(LimitedEpr):
        async def deliver(self, deliveries: Any, references: dict[str, str]) -> list[Receipt]:
            raise EprUnavailable("away")

    bench.epr = Away("trust", bench.clock, STATES["epic"])
    bench.service = Service(bench.store, {"trust": Site(epr=bench.epr, mapping=MAPPING, packs=())}, bench.clock)
    await bench.decided(*created(writes.TASK))
    assert await bench.service.deliver() == 0
    (task,) = await bench.listed("Task")
    assert (task.resource["status"], task.told) == ("requested", "")


async def test_what_staff_complete_on_the_worklist_is_not_changed_any_more() -> None:
    bench = Bench(STATES["nothing"])
    await bench.delivered(*created(writes.TASK))
    (task,) = await bench.listed("Task")
    said = Completion(by="A Nurse", outcome="contact-made")
    await complete(bench.store, bench.site, task.reference, task.version, said, bench.clock)
    await bench.delivered((writes.withdraw(writes.TASK), writes.LATER))
    (after,) = await bench.listed("Task")
    assert (after.resource["status"], after.version, after.by) == ("completed", 2, "A Nurse")


async def test_a_notice_that_is_refused_is_a_dead_letter_and_the_worklist_has_the_thing() -> None:
    bench = Bench(STATES["epic"])

    class Refusing(LimitedEpr):
        async def interact(self, entry: Resource) -> Resource:
            raise EprRefused("422 no such category", outcome={"resourceType": "OperationOutcome"}, status=422)

    bench.epr = Refusing("trust", bench.clock, STATES["epic"])
    bench.service = Service(bench.store, {"trust": Site(epr=bench.epr, mapping=MAPPING, packs=())}, bench.clock)
    await bench.delivered(*created(writes.TASK))
    assert [one.identity for one in await bench.listed("Task")] == [writes.TASK.identity]
    (letter,) = await bench.store.dead_letters.search()
    assert (letter.subject, letter.outgoing.identity) == (ANN, writes.TASK.identity)
    assert (letter.reason, letter.outcome) == ("422 no such category", {"resourceType": "OperationOutcome"})
