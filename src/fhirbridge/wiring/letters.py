"""Builds what letters are written on, from settings, and finds what would be wrong with a letter before the first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from fhirbridge.core.calendar import Calendar
from fhirbridge.core.effects import Kind
from fhirbridge.core.policy import Pack
from fhirbridge.errors import ConfigurationError, Defect
from fhirbridge.letters import Letterhead, Stationery, typeset
from fhirbridge.letters.audiences import audience_of, is_letter
from fhirbridge.letters.sample import sample
from fhirbridge.letters.templates import flaws_of, load_templates
from fhirbridge.letters.typesetting import families
from fhirbridge.settings import LetterSettings, Settings

_FORMATS = {".svg": "svg", ".png": "png", ".jpg": "jpg", ".jpeg": "jpg"}
LARGEST_LOGO = 300_000
"""Bytes: it goes into every letter."""


def stationery_of(settings: Settings, calendar: Calendar) -> Stationery | None:
    """What letters are written on; None where no letterhead is configured.

    Raises:
        ConfigurationError: a text, the logo or a font cannot be used; names the setting.
    """
    one = settings.letters
    if one is None:
        return None
    return Stationery(_letterhead(one), load_templates(one.texts), calendar)


def lint_letters(settings: Settings, packs: Iterable[Pack], calendar: Calendar) -> Iterator[ConfigurationError]:
    """Everything that would be wrong with a letter: texts and their fields, letterhead, logo, font, missing texts."""
    one = settings.letters
    if one is None:
        yield ConfigurationError("no letterhead: letters go out as words alone; set it", place="letters")
        return
    flaws = flaws_of(one.texts)
    yield from flaws
    if flaws:
        return
    try:
        stationery = Stationery(_letterhead(one), load_templates(one.texts), calendar)
    except ConfigurationError as error:
        yield error
        return
    told: set[str] = set()
    for action, role in written_by(packs):
        try:
            stationery.templates.of(action, audience_of(role))
            typeset(sample(action, role, stationery))
        except (ConfigurationError, Defect) as error:
            if str(error) not in told:
                yield error if isinstance(error, ConfigurationError) else ConfigurationError(str(error))
            told.add(str(error))


def written_by(packs: Iterable[Pack]) -> list[tuple[str, str]]:
    """What the packs send as letters: action and role, each pair once."""
    acts = (act for pack in packs for pathway in pack.pathways for step in pathway.steps for act in step.acts)
    pairs = ((act.action, act.role) for act in acts if act.kind is Kind.COMMUNICATION and is_letter(act.role))
    return list(dict.fromkeys(pairs))


def _letterhead(one: LetterSettings) -> Letterhead:
    logo = _logo(one.logo) if one.logo else b""
    if logo and not one.logo_says:
        raise ConfigurationError(
            "say in words what the logo shows, for those who cannot see it", place="letters.logo_says"
        )
    fonts = str(one.fonts) if one.fonts else ""
    if one.fonts and not one.fonts.is_dir():
        raise ConfigurationError(f"{one.fonts} is no folder", place="letters.fonts")
    if one.font and one.font not in families(fonts):
        raise ConfigurationError(
            f"no font is called {one.font!r}; there are {', '.join(families(fonts))}", place="letters.font"
        )
    return Letterhead(
        name=one.name,
        address=one.address,
        phone=one.phone,
        crisis_phone=one.crisis_phone,
        return_address=one.return_address,
        email=one.email,
        hours=one.hours,
        website=one.website,
        signatory=one.signatory,
        signatory_title=one.signatory_title,
        logo=logo,
        logo_format=_FORMATS[one.logo.suffix.lower()] if one.logo else "",
        logo_says=one.logo_says,
        font=one.font,
        fonts=fonts,
    )


def _logo(file: Path) -> bytes:
    place = "letters.logo"
    if file.suffix.lower() not in _FORMATS:
        raise ConfigurationError(f"{file} is no picture that can be used; give an SVG, PNG or JPEG", place=place)
    try:
        logo = file.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}", place=place) from None
    if not 0 < len(logo) <= LARGEST_LOGO:
        raise ConfigurationError(
            f"{file} has {len(logo)} bytes; give a picture of at most {LARGEST_LOGO // 1000} KB", place=place
        )
    return logo
