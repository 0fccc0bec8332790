"""By what a practice in England knows its patient, and MESH the practice: NHS number, date of birth, family name."""

from __future__ import annotations

from msgspec import Struct

from fhirbridge.errors import SenderError
from fhirbridge.fhir import canonical
from fhirbridge.fhir.r4 import Resource


class Identity(Struct, frozen=True, kw_only=True):
    """By what a practice finds its patient: NHS number (ten digits), date of birth (YYYY-MM-DD) and official name."""

    nhs_number: str
    born: str
    family: str
    given: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """How MESH is told to find the patient's practice (GPCM-SD-060, 063)."""
        return f"GPPROVIDER_{self.nhs_number}_{self.born.replace('-', '')}_{self.family}"


def identity_of(patient: Resource) -> Identity:
    """By what the practice will know the patient.

    Raises:
        SenderError: the NHS number, the full date of birth or the family name is not on record (GPCM-SD-035).
    """
    numbers = [
        "".join(filter(str.isdecimal, str(each.get("value") or "")))
        for each in patient.get("identifier", ())
        if each.get("system") == canonical.NHS_NUMBER
    ]
    names = [each for each in patient.get("name", ()) if each.get("family") and each.get("use") != "old"]
    name = next((each for each in names if each.get("use") == "official"), names[0] if names else {})
    born = str(patient.get("birthDate") or "")
    number = next((each for each in numbers if len(each) == len("9990000018")), "")
    lacking = [
        what
        for what, held in (
            ("an NHS number", number),
            ("a full date of birth", len(born) == len("1980-03-02")),
            ("a family name", name),
        )
        if not held
    ]
    if lacking:
        raise SenderError(f"the record of the patient lacks {' and '.join(lacking)}", place="Patient")
    given = tuple(str(each) for each in name.get("given", ()) if each)
    return Identity(nhs_number=number, born=born, family=str(name["family"]), given=given)
