"""Examples of what the service writes, for whoever receives it: taken from cases, as an EPR would hold them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from fhirbridge.casebook.playing import Kept, Setting, pack_of, play
from fhirbridge.casebook.reading import read_case
from fhirbridge.errors import Defect
from fhirbridge.fhir.r4 import Resource


class Example(Struct, frozen=True):
    """The first version of what a case writes with this action that has the status; `says` is what it shows.

    With `provenance`, the Provenance of that version instead.
    """

    name: str
    case: str
    action: str
    status: str
    says: str
    provenance: bool = False


_DIED = "rdash-disengagement/5.2-died"
_SHARED = "rdash-disengagement/5.6-share"
_ENDED = "rdash-disengagement/5.5-ended"

EXAMPLES = (
    Example("Task-asked", _DIED, "contact-patient", "requested", "A Task as it is asked for"),
    Example("Task-answered", _DIED, "contact-patient", "completed", "The same, answered by staff"),
    Example("Task-withdrawn", _DIED, "unannounced-visit", "cancelled", "A Task that was taken back"),
    Example("Communication-notice", _SHARED, "mdtm-plan-notice", "completed", "A notice to the GP"),
    Example("Communication-letter", _DIED, "contact-us-letter", "completed", "A letter to the patient"),
    Example("Flag-active", _ENDED, "safeguarding-concern", "active", "A Flag while it holds"),
    Example("Flag-ended", _ENDED, "safeguarding-concern", "inactive", "The same Flag, ended"),
    Example("CarePlan-plan", _SHARED, "mdtm-plan", "active", "What a meeting agreed"),
    Example(
        "CarePlan-points",
        "twelve-point-discharge/1-admission",
        "twelve-point-plan",
        "active",
        "A plan of twelve points, with its Tasks",
    ),
    Example("Provenance-asked", _DIED, "contact-patient", "requested", "Why a Task was written", provenance=True),
    Example("Provenance-withdrawn", _DIED, "unannounced-visit", "cancelled", "Why one was taken back", provenance=True),
)


def examples(cases: Path, setting: Setting) -> dict[str, Resource]:
    """Every example by its name; `cases` is the folder of the casebook.

    Raises:
        ConfigurationError: a case cannot be read or played.
        Defect: a case no longer writes what an example is taken from.
    """
    played: dict[str, list[list[Kept]]] = {}
    for name in dict.fromkeys(example.case for example in EXAMPLES):
        case = read_case(cases / f"{name}.yaml", setting.calendar)
        played[name] = list(play(case, setting, pack_of(case, setting)).written.values())
    return {example.name: _found(example, played[example.case]) for example in EXAMPLES}


def _found(example: Example, written: Iterable[list[Kept]]) -> Resource:
    for versions in written:
        for kept in versions:
            if _action(kept.resource) != example.action or kept.resource["status"] != example.status:
                continue
            found = kept.provenance if example.provenance else kept.resource
            if found is not None:
                return found
    raise Defect(f"{example.case} writes no {example.action} that is {example.status}: take the example from elsewhere")


def _action(resource: Resource) -> str:
    category = resource.get("category", [{}])
    coded = resource["code"] if "code" in resource else category[0]
    return str(coded["coding"][0]["code"])
