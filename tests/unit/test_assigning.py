"""Which pack decides for which case, and in which edition: by service, and as it was when a pathway started."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from fhirbridge.core.effects import AnyEffect, Started, Written
from fhirbridge.core.facts import AnyFact
from fhirbridge.core.own import fold
from fhirbridge.core.policy import Pack
from fhirbridge.core.timeline import Record
from fhirbridge.errors import ConfigurationError
from fhirbridge.packs.loading import load_pack, pack_path
from fhirbridge.ports import Known
from fhirbridge.service.assigning import Assignment, Editions, no_editions, uncovered
from fhirbridge.service.settling import Settled, settle
from fhirbridge.settings import Settings
from fhirbridge.simulation import DryRun, collect
from fhirbridge.wiring.policies import Archive, assignments_of
from tests.shipped import CALENDAR, shipped_mapping, shipped_pack
from tests.unit.simulated_record import Resource, answer, appointment, coded, twice_missed

NAME = "rdash-disengagement"
MAPPING = shipped_mapping()
PACK = shipped_pack(NAME)
LATER = replace(load_pack(NAME, calendar=CALENDAR, overrides={"routine-phone": "3WD"}), version="99.0.0")
NOW = datetime(2026, 1, 26, 12, tzinfo=UTC)
AGAIN = datetime(2026, 2, 9, 12, tzinfo=UTC)
NEXT = datetime(2026, 1, 27, 12, tzinfo=UTC)


def record_of(service: str, setting: str = "community", patient: str = "p1") -> list[Resource]:
    resources = twice_missed(patient)
    episode = next(one for one in resources if one["resourceType"] == "EpisodeOfCare")
    episode |= {"managingOrganization": {"reference": service}, "type": [coded("setting", setting)]}
    return resources


def facts_of(resources: Iterable[Resource]) -> tuple[AnyFact, ...]:
    (patient,) = collect(resources, MAPPING, datetime(2027, 1, 1, tzinfo=UTC)).patients
    return tuple(version.fact for version in patient.versions)


def known(resources: Iterable[Resource], effects: Iterable[AnyEffect] = ()) -> Known:
    return Known(facts=facts_of(resources), effects=tuple(effects), references={})


def everywhere(*packs: Pack, editions: Editions = no_editions) -> DryRun:
    return DryRun(packs=packs, calendar=CALENDAR, editions=editions)


def assigned(*assignments: Assignment, editions: Editions = no_editions) -> DryRun:
    return DryRun(packs=(), calendar=CALENDAR, assignments=assignments, editions=editions)


def written(settled: Settled) -> list[str]:
    return [effect.key.action for effect in settled.effects if isinstance(effect, Written)]


def versions(settled: Settled) -> set[str]:
    return {effect.version for effect in settled.effects if isinstance(effect, Started)}


NORTH = Assignment(name="north", keys=frozenset({"Organization/north"}), packs=(PACK,))


def missed_again() -> list[Resource]:
    """The patient came back, and then missed two more."""
    return [
        *record_of("Organization/north"),
        appointment("p1-3", "p1", "fulfilled", "2026-01-28T10:00:00Z", "2026-01-28T11:00:00Z"),
        appointment("p1-4", "p1", "noshow", "2026-02-02T10:00:00Z", "2026-02-02T11:00:00Z"),
        appointment("p1-5", "p1", "noshow", "2026-02-09T10:00:00Z", "2026-02-09T11:00:00Z"),
    ]


# --- packs by service ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "setting", "asked"),
    [
        ("Organization/north", "community", True),
        ("Organization/south", "community", False),
        ("Organization/north", "inpatient", False),
    ],
)
def test_a_pack_is_for_the_cases_of_its_service_and_setting(service: str, setting: str, asked: bool) -> None:
    site = assigned(replace(NORTH, settings=frozenset({"community"})))

    assert bool(written(settle(site, known(record_of(service, setting)), NOW))) is asked


def test_the_first_service_that_takes_a_case_decides() -> None:
    rest = Assignment(name="rest", packs=(LATER,))

    north = settle(assigned(NORTH, rest), known(record_of("Organization/north")), NOW)
    south = settle(assigned(NORTH, rest), known(record_of("Organization/south")), NOW)

    assert (versions(north), versions(south)) == ({PACK.version}, {LATER.version})


def test_a_case_that_no_pack_is_for_is_named() -> None:
    settled = settle(assigned(NORTH), known(record_of("Organization/south")), NOW)

    assert settled.uncovered == ("EpisodeOfCare/p1-e",)
    assert settled.effects == ()


def test_without_services_no_case_is_left_over() -> None:
    assert uncovered(everywhere(PACK), Record.of(facts_of(record_of("Organization/south")))) == ()


def test_the_same_pack_for_two_services_leaves_the_other_alone() -> None:
    """Both editions have the same settings; they differ in what silence about risk means."""
    south = Assignment(
        name="south", packs=(replace(PACK, risk_when_unrecorded="none"),), keys=frozenset({"Organization/south"})
    )
    site = assigned(south, NORTH)
    resources = record_of("Organization/north")
    first = settle(site, known(resources), NOW)

    again = settle(site, known(resources, first.effects), NOW)

    assert written(first)
    assert again.effects == ()


def test_what_runs_goes_on_where_the_case_is_no_longer_the_service_s() -> None:
    resources = record_of("Organization/north")
    first = settle(assigned(NORTH), known(resources), NOW)
    elsewhere = assigned(replace(NORTH, keys=frozenset({"Organization/south"})))

    quiet = settle(elsewhere, known(resources, first.effects), NEXT)
    answered = settle(
        elsewhere, known([*resources, answer("t1", "p1", "no-answer", "2026-01-27T10:00:00Z")], first.effects), NEXT
    )

    assert quiet.effects == ()
    assert written(answered)


def test_nothing_new_starts_where_the_case_is_no_longer_the_service_s() -> None:
    first = settle(assigned(NORTH), known(record_of("Organization/north")), NOW)
    elsewhere = assigned(replace(NORTH, keys=frozenset({"Organization/south"})))

    later = settle(elsewhere, known(missed_again(), first.effects), AGAIN)

    assert versions(later) == set()


# --- versions --------------------------------------------------------------------------------------------


def test_a_running_pathway_stays_on_the_edition_it_started_with() -> None:
    resources = record_of("Organization/north")
    first = settle(everywhere(PACK), known(resources), NOW)

    def editions(started: Started, risk: str | None) -> Pack:
        assert (started.version, risk) == (PACK.version, "unknown")
        return PACK

    later = everywhere(LATER, editions=editions)
    quiet = settle(later, known(resources, first.effects), NOW)
    answered = settle(
        later, known([*resources, answer("t1", "p1", "no-answer", "2026-01-27T10:00:00Z")], first.effects), NEXT
    )

    assert quiet.effects == ()
    assert written(answered)
    policies = {policy for row in answered.outgoing if row.provenance for policy in row.provenance["policy"]}
    assert policies == {PACK.canonical}


def test_what_starts_later_follows_the_later_version() -> None:
    first = settle(everywhere(PACK), known(record_of("Organization/north")), NOW)

    later = settle(everywhere(LATER, editions=lambda run, risk: PACK), known(missed_again(), first.effects), AGAIN)

    assert versions(later) == {LATER.version}


def test_other_settings_are_another_edition() -> None:
    resources = record_of("Organization/north")
    first = settle(everywhere(PACK), known(resources), NOW)
    settings = Settings(overrides={NAME: {"routine-phone": "3WD"}})
    changed = load_pack(NAME, calendar=CALENDAR, overrides=settings.overrides[NAME])

    again = settle(everywhere(changed, editions=Archive(settings, CALENDAR)), known(resources, first.effects), NOW)

    assert again.effects == ()


def test_a_version_that_is_nowhere_is_named_with_the_remedy() -> None:
    resources = record_of("Organization/north")
    first = settle(everywhere(LATER), known(resources), NOW)

    with pytest.raises(ConfigurationError, match=f"{NAME}@99.0.0.yaml.*policy migrate {NAME} --from 99.0.0"):
        settle(everywhere(PACK, editions=Archive(Settings(), CALENDAR)), known(resources, first.effects), NOW)


def test_older_versions_come_from_the_archive(tmp_path: Path) -> None:
    text = pack_path(NAME).read_text(encoding="utf-8")
    old = text.replace(f"version: {PACK.version}", "version: 0.0.9", 1)
    (tmp_path / f"{NAME}@0.0.9.yaml").write_text(old, encoding="utf-8")
    archive = Archive(Settings(pack_archive=tmp_path), CALENDAR)
    started = Started(
        identity="r",
        at=NOW,
        pack=NAME,
        version="0.0.9",
        pathway="x",
        case="c",
        since=NOW,
        settings=PACK.settings | {"routine-phone": "3WD"},
    )

    found = archive(started, "none")

    assert (found.version, found.settings["routine-phone"], found.risk_when_unrecorded) == ("0.0.9", "3WD", "none")
    assert archive(started, "none") is found


# --- configuration ---------------------------------------------------------------------------------------


def test_each_distinct_edition_is_compiled_once() -> None:
    services = [
        {"name": "north", "match": {"service": ["Organization/north"]}, "packs": [NAME]},
        {"name": "south", "match": {"setting": ["therapy"]}, "packs": [NAME]},
        {"name": "rest", "packs": [NAME], "overrides": {NAME: {"routine-phone": "3WD"}}},
    ]

    north, south, rest = assignments_of(Settings(services=services), CALENDAR)  # type: ignore[arg-type]

    assert north.packs[0] is south.packs[0]
    assert rest.packs[0].settings["routine-phone"] == "3WD"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"packs": ["no-such-pack"]}, r"services\.north\.packs: there is no pack 'no-such-pack'"),
        (
            {"packs": [NAME], "overrides": {NAME: {"nonsense": 1}}},
            r"services\.north\.overrides.*'nonsense' is no setting",
        ),
    ],
)
def test_what_a_service_names_in_vain_is_said_with_its_place(wrong: dict[str, object], says: str) -> None:
    settings = Settings(services=[{"name": "north", **wrong}])  # type: ignore[arg-type]

    with pytest.raises(ConfigurationError, match=says):
        assignments_of(settings, CALENDAR)


@pytest.mark.parametrize(
    ("services", "says"),
    [
        ([{"name": "a", "packs": []}], "packs"),
        ([{"name": "a", "packs": [NAME], "match": {"setting": ["ward"]}}], "'ward' is no setting of an episode"),
        ([{"name": "a", "packs": [NAME], "match": {"service": ["north"]}}], "match.service"),
        ([{"name": "a", "packs": [NAME], "overrides": {"b": {}}}], "none of its packs"),
        ([{"name": "a", "packs": [NAME]}, {"name": "a", "packs": [NAME]}], "two services are called 'a'"),
    ],
)
def test_services_that_make_no_sense_are_refused(services: list[dict[str, object]], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Settings(services=services)  # type: ignore[arg-type]


def test_what_was_started_is_folded_with_its_settings() -> None:
    first = settle(everywhere(PACK), known(record_of("Organization/north")), NOW)

    (run, *_) = fold(first.effects).runs.values()
    assert PACK.is_edition(run)
    assert not LATER.is_edition(run)
