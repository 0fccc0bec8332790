"""A letter as PDF, or as pictures to look at.

The PDF is accessible and made to last: PDF/UA-1 (ISO 14289-1: tagged, with title and language) and PDF/A-2a
(ISO 19005-2) at once; Typst refuses to make one that is not. Fonts are those inside the Typst wheel, and the trust's
own if it gives any: a machine's fonts make no difference. The same letter gives the same bytes.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import Any, Literal

import msgspec
import typst

from fhirbridge.errors import ConfigurationError, Defect
from fhirbridge.letters.letter import Letter
from fhirbridge.shipped import folder

STANDARDS = ["ua-1", "a-2a"]
FONT = "Libertinus Serif"
"""Of those inside the wheel the one for running text."""

_NOT_SHOWN = re.compile(r"could not be displayed with font|unmappable|private use|codepoint", re.IGNORECASE)
_QUOTED = re.compile(r"`\"(.+?)\"`")


def typeset(letter: Letter) -> bytes:
    """The letter as PDF.

    Raises:
        ConfigurationError: it needs characters that no font has, or the logo or a font cannot be used.
        Defect: the layout is wrong.
    """
    made = _compiled(letter, "pdf")
    return made[0] if isinstance(made, list) else made


def png(letter: Letter, ppi: float = 110.0) -> list[bytes]:
    """The pages of the letter as PNG pictures.

    Raises:
        ConfigurationError, Defect: as for `typeset`.
    """
    made = _compiled(letter, "png", ppi)
    return made if isinstance(made, list) else [made]


def _compiled(letter: Letter, form: Literal["pdf", "png"], ppi: float | None = None) -> bytes | list[bytes]:
    head = letter.letterhead
    if head.font and head.font not in families(head.fonts):
        raise ConfigurationError(
            f"no font is called {head.font!r}; there are {', '.join(families(head.fonts))}", place="letters.font"
        )
    try:
        compiler = typst.Compiler(
            str(folder("letters") / "layout" / "letter.typ"),
            root=str(folder("letters") / "layout"),
            font_paths=_fonts(head.fonts),
            sys_inputs={"letter": msgspec.json.encode(_given(letter)).decode()},
        )
        when = int(letter.on.timestamp())
        made: Any = (
            compiler.compile(format="pdf", pdf_standards=STANDARDS, timestamp=when)  # type: ignore[arg-type]
            if form == "pdf"
            else compiler.compile(format="png", ppi=ppi)
        )
    except typst.TypstError as error:
        raise _told(error) from None
    return made  # type: ignore[no-any-return]


def families(fonts: str) -> tuple[str, ...]:
    """Names of the fonts there are: those inside the wheel, and those in the folder `fonts` ("" for none)."""
    return tuple(_fonts(fonts).families())


@cache
def _fonts(fonts: str) -> typst.Fonts:
    """Looked for once: that takes longer than a letter."""
    return typst.Fonts(include_system_fonts=False, font_paths=[fonts] if fonts else [])


def _given(letter: Letter) -> dict[str, Any]:
    """The letter as the layout takes it."""
    head = letter.letterhead
    given: dict[str, Any] = msgspec.to_builtins(letter, builtin_types=(bytes,))
    given["sections"] = msgspec.to_builtins(letter.shown)
    given["letterhead"]["logo"] = list(head.logo)
    given["letterhead"]["font"] = head.font or FONT
    given["day"] = [letter.on.year, letter.on.month, letter.on.day]
    given["on"] = letter.on.isoformat()
    return given


def _told(error: typst.TypstError) -> Exception:
    if _NOT_SHOWN.search(error.message):
        quoted = _QUOTED.search(error.message)
        scripts = sorted({unicodedata.name(one, "UNKNOWN").split()[0] for one in (quoted.group(1) if quoted else "")})
        # The characters themselves may be somebody's name; the script is not.
        return ConfigurationError(
            f"a letter needs characters that no font has ({', '.join(scripts)}): put a font with them into a folder, "
            "and name it here",
            place="letters.fonts",
        )
    if "image" in error.message or "decode" in error.message or "svg" in error.message.lower():
        return ConfigurationError(f"the logo cannot be used: {error.message}", place="letters.logo")
    return Defect(f"the layout of letters does not compile: {error.message}")
