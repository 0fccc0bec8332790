"""A directory as written: YAML to frozen values, refused with file, line and remedy where it would reach nobody.

A letter that goes to a telephone number as a mailbox is found missing weeks later; here it is found before the first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec
import yaml

from fhirbridge.fhir.directory import (
    ADDRESSABLE,
    CHANNELS,
    DAYS,
    HOLIDAY,
    MEDIA,
    NO_PRACTICE,
    Contact,
    Directory,
    Organisation,
    Shift,
    TeamEntry,
    addressable,
)
from fhirbridge.fhir.located_yaml import Spot, load
from fhirbridge.fhir.nearest import nearest

FILE = "directory.yaml"

_ODS = re.compile(r"[A-Z0-9]{3,10}")
_MAILBOX = re.compile(r"(?=[A-Z0-9]*[A-Z])[A-Z0-9]{5,20}")
_TELEPHONE = re.compile(r"\+?[0-9][0-9 ()]{6,18}[0-9]")
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
_HERE = frozenset({"localhost", "127.0.0.1", "::1"})
_BY_THE_RECORD = frozenset({"patient", "gp", "referrer"})
"""Roles whose holders, and the patient's address with them, the record names."""

T = TypeVar("T")


def load_directory(file: Path) -> Directory:
    """Read a directory from its file.

    Raises:
        ConfigurationError: what is wrong with it, with file, line and what to do.
    """
    return _directory(load(file))


def read_directory(data: Mapping[str, object], place: str) -> Directory:
    """Read a directory from values; lines are counted as if they were written out as YAML.

    Raises:
        ConfigurationError: as `load_directory`; `place` stands for the file.
    """
    written = yaml.compose(yaml.safe_dump(dict(data), sort_keys=False))
    return _directory(Spot(written, Path(place))) if written is not None else Directory()


def _directory(top: Spot) -> Directory:
    parts = top.items({"roles", "teams", "organisations"})
    organisations = _organisations(parts["organisations"]) if "organisations" in parts else ()
    known = {each.ods: each for each in organisations}
    teams = _teams(parts["teams"], known) if "teams" in parts else ()
    return Directory(
        roles=_roles(parts["roles"], known) if "roles" in parts else {}, teams=teams, organisations=organisations
    )


def _roles(spot: Spot, known: Mapping[str, Organisation]) -> dict[str, Contact]:
    return {role: _contact(each, role, known) for role, each in spot.items().items()}


def _contact(spot: Spot, role: str, known: Mapping[str, Organisation]) -> Contact:
    contact = _converted(spot, Contact, f"roles.{role}")
    parts = spot.items()
    _check_reference(parts.get("reference"), contact.reference)
    if contact.ods:
        _check_ods(parts["ods"], contact.ods)
    if contact.reference and contact.ods:
        parts["ods"].fail("gives both a reference and an ODS code: keep the one the EPR knows")
    listed = known.get(contact.ods or "")
    way = contact if contact.channel or listed is None else listed
    _check_way(parts, spot, contact)
    if way is contact:
        by_the_record = role in _BY_THE_RECORD
        _check_complete(parts.get("channel", spot), contact, by_the_record=by_the_record)
    for each in parts["rota"].sequence() if "rota" in parts else ():
        _shift(each)
    return contact


def _shift(spot: Spot) -> None:
    shift = _converted(spot, Shift, "rota")
    parts = spot.items()
    for day in shift.days:
        if day not in (*DAYS, HOLIDAY):
            parts["days"].fail(f"{day!r} is no day: write {', '.join(DAYS)} or {HOLIDAY}")
    for name, time in (("from", shift.start), ("until", shift.until)):
        if not _TIME.fullmatch(time):
            parts[name].fail(f'{time!r} is no time of day: write it in quotation marks, like "17:00"')
    _check_reference(parts.get("reference"), shift.reference)
    if not shift.reference and not shift.display and not shift.telephone:
        spot.fail("says when, and not who: write display, reference or telephone")
    _check_telephone(parts, shift.telephone)


def _teams(spot: Spot, known: Mapping[str, Organisation]) -> tuple[TeamEntry, ...]:
    claimed: dict[str, str] = {}
    teams = []
    for each in spot.sequence():
        parts = each.items({"name", "services", "roles"})
        for name in ("name", "services"):
            if name not in parts:
                each.fail(f"a team needs {name}")
        team = TeamEntry(
            name=parts["name"].text(),
            services=tuple(parts["services"].texts()),
            roles=_roles(parts["roles"], known) if "roles" in parts else {},
        )
        for service in team.services:
            if service in claimed:
                parts["services"].fail(
                    f"both {claimed[service]!r} and {team.name!r} claim service {service}: leave it to one of them"
                )
            claimed[service] = team.name
        teams.append(team)
    return tuple(teams)


def _organisations(spot: Spot) -> tuple[Organisation, ...]:
    found: dict[str, Organisation] = {}
    named: dict[str, str] = {}
    for each in spot.sequence():
        organisation = _converted(each, Organisation, "organisations")
        parts = each.items()
        _check_ods(parts["ods"], organisation.ods)
        if organisation.ods in found:
            parts["ods"].fail(f"{organisation.ods} is here twice: keep one entry")
        for reference in organisation.references:
            _check_reference(parts["references"], reference)
            if reference in named:
                parts["references"].fail(f"{reference} belongs to {named[reference]} already: leave it to one of them")
            named[reference] = organisation.ods
        _check_way(parts, each, organisation)
        _check_complete(parts.get("channel", each), organisation)
        found[organisation.ods] = organisation
    return tuple(found.values())


def _check_way(parts: Mapping[str, Spot], spot: Spot, one: Contact | Organisation) -> None:
    """Whether each part of how to reach them is what it should be, and is of any use."""
    if one.channel and one.channel not in CHANNELS:
        told = f"unknown channel {one.channel!r}: use one of {', '.join(CHANNELS)}{nearest(one.channel, CHANNELS)}"
        parts["channel"].fail(told)
    if one.medium and one.medium not in MEDIA:
        parts["medium"].fail(f"unknown medium {one.medium!r}: use one of {', '.join(MEDIA)}")
    if one.mailbox and not _MAILBOX.fullmatch(one.mailbox):
        kind = "a telephone number" if _TELEPHONE.fullmatch(one.mailbox) else "no MESH mailbox"
        remedy = "write it as telephone" if kind.startswith("a") else "write capitals and digits"
        parts["mailbox"].fail(f"{one.mailbox!r} is {kind}: {remedy}; a mailbox looks like X26OT001")
    if one.endpoint:
        url = urlsplit(one.endpoint)
        if url.scheme != "https" and not (url.scheme == "http" and url.hostname in _HERE):
            parts["endpoint"].fail(f"{one.endpoint!r} is no https URL: write the FHIR base URL of the receiver")
    _check_telephone(parts, one.telephone)
    for name, channel in (("mailbox", "mesh"), ("endpoint", "fhir")):
        if name in parts and one.channel is None:
            spot.fail(f"gives a {name} and no channel: write channel: {channel} to use it")


def _check_complete(spot: Spot, one: Contact | Organisation, *, by_the_record: bool = False) -> None:
    """Whether its channel has what it needs; the record gives the rest where it names the holder."""
    if by_the_record:
        return
    if one.channel == "post" and not one.address:
        spot.fail("goes by post and has no address: write its lines as address, or another channel")
    if one.channel == "fhir" and not one.endpoint:
        spot.fail("goes by fhir and has no endpoint: write the FHIR base URL of the receiver as endpoint")
    if one.channel == "mesh" and not (one.mailbox or one.ods):
        spot.fail("goes by mesh and has neither mailbox nor ods: write one of them")


def _check_telephone(parts: Mapping[str, Spot], telephone: str) -> None:
    if telephone and not _TELEPHONE.fullmatch(telephone):
        parts["telephone"].fail(
            f'{telephone!r} is no telephone number: write it in quotation marks, like "0161 496 0000"'
        )


def _check_ods(spot: Spot, ods: str) -> None:
    if not _ODS.fullmatch(ods):
        spot.fail(f"{ods!r} is no ODS code: write 3 to 10 capitals and digits")
    if ods in NO_PRACTICE:
        spot.fail(f"{ods} stands for a practice that is not known: leave it out, and the team is asked to find it")


def _check_reference(spot: Spot | None, reference: str | None) -> None:
    if spot is not None and reference and not addressable(reference):
        spot.fail(f"{reference!r} must be Type/id, with Type one of {', '.join(sorted(ADDRESSABLE))}")


def _converted(spot: Spot, kind: type[T], what: str) -> T:
    """What is here as that kind; told by the line of the element that is wrong."""
    value: dict[str, Any] = spot.value() if not spot.is_text() or spot.text() else {}
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        _blamed(spot, str(error)).fail(
            f"{what}: {_said(error)}: mappings/uk-core/directory.yaml shows what a directory holds"
        )


def _blamed(spot: Spot, message: str) -> Spot:
    """The element that the message is about, as far as it says so."""
    if spot.is_text() or spot.is_sequence():
        return spot
    parts: Iterable[tuple[str, Spot]] = spot.items().items()
    return next((part for name, part in parts if f"`{name}`" in message or f"$.{name}" in message), spot)


def _said(error: msgspec.ValidationError) -> str:
    return str(error).partition(" - at ")[0]
