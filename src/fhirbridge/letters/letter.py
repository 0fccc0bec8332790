"""A letter as plain values: everything that its reader will see, and nothing else."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

UNFILLED = "Not held in the record that this is written from"
"""The heading of the list of headings that a document asks for and the record does not fill."""


class Letterhead(Struct, frozen=True, kw_only=True):
    """Who writes: the trust's name, address and telephone, and what every letter of it says.

    `crisis_phone` is the line for people in a crisis, open day and night. `return_address` is where post goes that
    could not be delivered; it shows in the window of the envelope. `logo` is an SVG, PNG or JPEG, with `logo_says` for
    those who cannot see it. `font` is one of those in the folder `fonts`, else one that is always there.
    """

    name: str
    address: tuple[str, ...]
    phone: str
    crisis_phone: str
    return_address: tuple[str, ...] = ()
    email: str = ""
    hours: str = ""
    website: str = ""
    signatory: str = ""
    signatory_title: str = ""
    logo: bytes = b""
    logo_format: str = ""
    logo_says: str = ""
    font: str = ""
    fonts: str = ""


class Section(Struct, frozen=True, kw_only=True):
    """One part of a letter: a heading ("" for none), paragraphs, and a list after them.

    `code` is the SNOMED CT code of the heading where it is one of a national document; `missing` says that the record
    holds nothing for it.
    """

    heading: str = ""
    paragraphs: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    code: str = ""
    missing: bool = False


class Letter(Struct, frozen=True, kw_only=True):
    """One letter to one recipient. `on` is the instant it was written at, `date` the local day in full.

    `recipient` are the lines of the address, `about` what it says of whom it is about, as (label, value). `enclosures`
    names what a person has to put beside it.
    """

    action: str
    role: str
    audience: str
    title: str
    on: datetime
    date: str
    reference: str
    recipient: tuple[str, ...]
    about: tuple[tuple[str, str], ...]
    greeting: str
    sections: tuple[Section, ...]
    closing: str
    letterhead: Letterhead
    enclosures: tuple[str, ...] = ()

    @property
    def shown(self) -> tuple[Section, ...]:
        """The sections as a reader sees them: headings that the record does not fill are named in one list."""
        held = [section for section in self.sections if not section.missing]
        missing = tuple(section.heading for section in self.sections if section.missing)
        if not missing:
            return self.sections
        last = max(place for place, section in enumerate(self.sections) if section.missing)
        before = last + 1 - len(missing)
        return (*held[:before], Section(heading=UNFILLED, items=missing), *held[before:])

    @property
    def text(self) -> str:
        """The letter's own words as plain text, without address and letterhead."""
        return "\n\n".join(part for section in self.shown for part in _parts(section))


def _parts(section: Section) -> tuple[str, ...]:
    heading = (section.heading,) if section.heading else ()
    listed = ("\n".join(f"- {item}" for item in section.items),) if section.items else ()
    return (*heading, *section.paragraphs, *listed)
