"""The record of a case in the making: FHIR R4 resources by name, and their versions as they become known."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from datetime import datetime

from fhirbridge.casebook import forms
from fhirbridge.casebook.case import Entry
from fhirbridge.core.calendar import Calendar
from fhirbridge.fhir.located_yaml import Spot
from fhirbridge.fhir.r4 import Resource

PRACTICE = "Organization/practice"


class Chart:
    """The resources of one record by their names, as they are by the line read last."""

    def __init__(self, calendar: Calendar) -> None:
        self.calendar = calendar
        self._latest: dict[str, Resource] = {}
        self._names: dict[str, str] = {}

    def opened(self, entries: Sequence[Entry]) -> list[Resource]:
        """The Patient, where no line of the record states one: known from the first line on."""
        if any(entry.verb == "patient" for entry in entries) or not entries:
            return []
        first = min(entry.known for entry in entries)
        return [self.add(forms.patient("1980-05-17", PRACTICE), first)]

    def changed(self, resource: Resource, changes: Resource, known: datetime) -> Resource:
        """A new version of a resource that the chart did not make itself: what staff made of it."""
        return self.add(resource | changes, known, int(resource["meta"]["versionId"]) + 1)

    def add(self, resource: Resource, known: datetime, version: int | None = None) -> Resource:
        """The resource as its next version, known from then on; versions count from 1 for each resource."""
        key = f"{resource['resourceType']}/{resource['id']}"
        before = self._latest.get(key)
        number = version or (int(before["meta"]["versionId"]) + 1 if before else 1)
        meta = resource.get("meta", {}) | {"versionId": str(number), "lastUpdated": forms.utc(known)}
        whole = {"resourceType": resource["resourceType"], "id": resource["id"], "meta": meta}
        whole |= {name: value for name, value in resource.items() if name not in whole}
        self._latest[key] = whole
        return whole

    def named(self, entry: Entry, name: str, resource_type: str) -> str:
        """Give the resource of this line its name, by which later lines refer to it."""
        named = entry.text("as", name)
        if named in self._names:
            entry.name.fail(f"{named!r} is on record already; call this one something else with 'as:'")
        self._names[named] = f"{resource_type}/{named}"
        return named

    def earlier(self, spot: Spot, *types: str) -> Resource:
        """A copy of the latest version of what an earlier line made."""
        key = self._names.get(spot.text(), "")
        if not key or (types and key.partition("/")[0] not in types):
            known = ", ".join(sorted(self._names)) or "nothing"
            spot.fail(f"no earlier line of the record makes {spot.text()!r} of the right type; there are: {known}")
        return copy.deepcopy(self._latest[key])

    def practice(self) -> str:
        """The patient's GP, as the latest version of the Patient names it."""
        known = self._latest.get(forms.PATIENT, {})
        return str(known["generalPractitioner"][0]["reference"]) if known else PRACTICE

    def patient(self) -> Resource:
        """A copy of the latest version of the Patient."""
        return copy.deepcopy(self._latest[forms.PATIENT])

    def numbered(self, word: str) -> str:
        """A name for one more thing of this kind: `message-2` where there is one whose name begins with the word."""
        return f"{word}-{1 + sum(1 for name in self._names if name.startswith(word))}"

    def given(self, resource: Resource) -> None:
        """Let later lines refer to a resource that came as it is."""
        self._names.setdefault(str(resource["id"]), f"{resource['resourceType']}/{resource['id']}")
