"""What rendering needs to know besides the write itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from fhirbridge.core.calendar import Calendar
from fhirbridge.core.effects import Started
from fhirbridge.fhir.directory import Contact, Directory, on_duty


class Rendering(Struct, frozen=True, kw_only=True):
    """The circumstances of one write.

    `now` is the instant of the decision, UTC. `services` are the service keys of the case (they select its team),
    `holders` the role holders that the patient's record names (`record_holders`). `runs` and `rows` (step id to ledger
    row) let a withdrawal cite the policy it was written under; a step that `rows` lacks is cited by its own id.
    `moved` gives, for a run that was migrated, the version it was on before. `practice` is the ODS code of the
    patient's practice, where nothing in the EPR is referred to as such. `handed_over` says that a Communication created
    now counts as sent now.
    """

    now: datetime
    calendar: Calendar = Calendar()
    directory: Directory = Directory()
    services: tuple[str, ...] = ()
    holders: Mapping[str, tuple[str, ...]] = {}
    runs: Mapping[str, Started] = {}
    rows: Mapping[str, str] = {}
    moved: Mapping[str, str] = {}
    practice: str = ""
    handed_over: bool = False

    def contacts(self, role: str, patient: str) -> tuple[Contact, ...]:
        """Who holds `role` for this patient (`Patient/id`): never empty, perhaps nobody but a display."""
        listed = self.directory.resolve(role, self.services)
        named = (patient,) if role == "patient" else self.holders.get(role, ())
        if named:
            return tuple(self.directory.reached(replace(listed, reference=name, ods=None)) for name in named)
        if role == "gp" and self.practice and not listed.resolved:
            return (self.directory.reached(replace(listed, ods=self.practice)),)
        return (on_duty(listed, self.calendar.local(self.now), lambda day: day in self.calendar.holidays),)
