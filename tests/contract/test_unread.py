"""What every `ports.Unread` keeps to, in memory, on SQLite and on PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from fhirbridge.core.facts import AnyFact, Source, Team, Unmapped
from fhirbridge.ports import Store, Subject, Unreadable, Version

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ANN = Subject("epr", "Patient/ann")


def good(version: int, *, identity: str = "t1", erased: bool = False) -> Version:
    fact = Team(source=_source(identity, version), known=_known(version), patient=ANN.patient, status="active")
    return Version(fact=replace(fact, erased=erased), resource={"v": version})


def unmapped(version: int, *, identity: str = "t1", patient: str = ANN.patient) -> Version:
    fact = Unmapped(source=_source(identity, version), known=_known(version), patient=patient, reason=f"flaw {version}")
    return Version(fact=fact, resource={"v": version})


def unfit(version: int, *, identity: str = "t1") -> Version:
    return Version(fact=unmapped(version, identity=identity, patient="").fact, resource={}, unfit=True)


def _source(identity: str, version: int) -> Source:
    return Source("CareTeam", identity, str(version))


def _known(version: int) -> datetime:
    return NOON + version * HOUR


async def keep(store: Store, *versions: Version, epr: str = "epr") -> None:
    await store.keep(epr, versions, (), NOON + 9 * HOUR)


async def told(store: Store) -> list[tuple[str, str, str, datetime]]:
    return [(one.reference, one.version, one.reason, one.since) for one in await store.unread.search()]


async def test_what_cannot_be_mapped_is_noted_until_it_can_be_read(store: Store) -> None:
    await keep(store, good(1))
    assert await store.unread.search() == []

    await keep(store, unmapped(2))
    assert await store.unread.search() == [
        Unreadable(
            epr="epr",
            patient="Patient/ann",
            reference="CareTeam/t1",
            version="2",
            reason="flaw 2",
            since=_known(2),
        )
    ]
    await keep(store, unmapped(3))
    assert await told(store) == [("CareTeam/t1", "3", "flaw 3", _known(2))]

    await keep(store, good(4))
    assert await store.unread.search() == []


async def test_what_is_not_fit_is_noted_and_not_kept(store: Store) -> None:
    await keep(store, good(1))
    await keep(store, unfit(2))

    [one] = await store.unread.search()
    assert (one.patient, one.reference, one.unfit) == ("Patient/ann", "CareTeam/t1", True)
    last = await store.last("epr", "CareTeam/t1")
    assert last is not None
    assert last.fact == good(1).fact

    await keep(store, unfit(2))
    assert await store.unread.search() == [one]
    await keep(store, good(3))
    assert await store.unread.search() == []


async def test_an_older_version_that_is_learnt_late_changes_nothing(store: Store) -> None:
    await keep(store, good(3))
    await keep(store, unmapped(2), unfit(1))
    assert await store.unread.search() == []

    await keep(store, unfit(5))
    await keep(store, good(4))
    assert await told(store) == [("CareTeam/t1", "5", "flaw 5", _known(5))]


async def test_what_comes_at_once_is_judged_by_its_latest(store: Store) -> None:
    await keep(store, unfit(1), unmapped(2), good(3), unmapped(1, identity="t2"), unfit(2, identity="t2"))
    assert [(one.reference, one.version, one.unfit) for one in await store.unread.search()] == [
        ("CareTeam/t2", "2", True)
    ]


async def test_what_has_gone_need_not_be_read(store: Store) -> None:
    await keep(store, unmapped(1))
    await keep(store, good(2, erased=True))
    assert await store.unread.search() == []


async def test_what_has_gone_before_it_could_be_read_is_forgotten(store: Store) -> None:
    await keep(store, unfit(2))
    await keep(store, replace(unfit(1), fact=replace(unfit(1).fact, erased=True)))
    assert len(await store.unread.search()) == 1
    await keep(store, replace(unfit(3), fact=replace(unfit(3).fact, erased=True)))
    assert await store.unread.search() == []
    assert await store.last("epr", "CareTeam/t1") is None


async def test_they_can_be_asked_for_and_counted(store: Store) -> None:
    await keep(store, unmapped(2), unmapped(1, identity="t2", patient="Patient/bob"), unfit(1, identity="t0"))
    await keep(store, unmapped(1), epr="other")
    found = await store.unread.search(eprs=["epr"])
    assert [(one.reference, one.patient) for one in found] == [
        ("CareTeam/t0", ""),
        ("CareTeam/t2", "Patient/bob"),
        ("CareTeam/t1", "Patient/ann"),
    ]
    assert len(await store.unread.search(limit=2)) == 2
    assert [(one.epr, one.reference) for one in await store.unread.search(subjects=[ANN])] == [("epr", "CareTeam/t1")]
    assert await store.unread.count() == {"epr": 3, "other": 1}


async def test_another_mapping_may_be_able_to_read_it(store: Store) -> None:
    await keep(store, good(1), unmapped(2), unmapped(1, identity="t2"), unfit(1, identity="t3"))

    def reading(resource: dict[str, object]) -> AnyFact | None:
        return good(2).fact if resource["v"] == 2 else unmapped(1).fact

    await store.remap("epr", reading, NOON + 10 * HOUR)
    assert [one.reference for one in await store.unread.search()] == ["CareTeam/t2", "CareTeam/t3"]
