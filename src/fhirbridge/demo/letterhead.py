"""What the letters of the demonstration are written on: the letterhead of a trust that does not exist.

Its telephone numbers are of the ranges that Ofcom keeps for drama, its web address and postcode are nobody's.
"""

from __future__ import annotations

from pathlib import Path

from fhirbridge.settings import LetterSettings


def letterhead(service: str) -> LetterSettings:
    """The letterhead, with the name of the service in the address."""
    return LetterSettings(
        name="Saltmarsh Vale NHS Foundation Trust",
        address=(service, "2 Willow Road", "Saltmarsh", "ZZ99 2WR"),
        phone="01632 960140",
        crisis_phone="0808 157 0140",
        hours="Monday to Friday, 9am to 5pm",
        email="willow.road@saltmarsh-vale.example",
        website="www.saltmarsh-vale.example",
        return_address=("PO Box 40", "Saltmarsh ZZ99 9PO"),
        signatory="Amara Nwosu",
        signatory_title="Team manager",
        logo=Path(__file__).with_name("emblem.svg"),
        logo_says="Saltmarsh Vale NHS Foundation Trust: three reeds over water",
    )
