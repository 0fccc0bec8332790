"""The PDF: accessible, made to last, the same every time, and never fooled by what stands in a name."""

from __future__ import annotations

import io
from typing import Any

import pytest
from msgspec.structs import replace
from pypdf import PdfReader

from fhirbridge.errors import ConfigurationError
from fhirbridge.letters import Letter, png, typeset, write
from fhirbridge.letters.sample import sample
from tests.unit.letters.desk import HEAD, PATIENT, STATIONERY, matter

HOSTILE = r"""#eval("1") $x^2$ @ref \u{41} *b* _i_ `c` <l> // "q" [x] {y} ~-- https://x.example = H - l"""


def letter(**changes: Any) -> Letter:
    return write(matter(**changes), STATIONERY)


def read(pdf: bytes) -> PdfReader:
    return PdfReader(io.BytesIO(pdf))


def words(pdf: bytes) -> str:
    return " ".join(" ".join(page.extract_text() for page in read(pdf).pages).split())


def heights_of(pdf: bytes) -> dict[str, float]:
    """Where each line of the first page stands, in points from its foot."""
    found: dict[str, float] = {}

    def note(text: str, page: list[float], line: list[float], *_: Any) -> None:
        if text.strip():
            found[text.strip()] = line[4] * page[1] + line[5] * page[3] + page[5]

    read(pdf).pages[0].extract_text(visitor_text=note)
    return found


def tags(node: Any) -> list[str]:
    node = node.get_object() if hasattr(node, "get_object") else node
    if isinstance(node, list):
        return [tag for each in node for tag in tags(each)]
    if not isinstance(node, dict):
        return []
    return ([str(node["/S"])] if "/S" in node else []) + (tags(node["/K"]) if "/K" in node else [])


def test_it_is_tagged_and_says_title_language_and_standards() -> None:
    pdf = read(typeset(letter()))
    root: Any = pdf.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"]
    assert root["/Lang"] == "en-GB"
    assert root["/ViewerPreferences"]["/DisplayDocTitle"]
    assert pdf.metadata is not None
    assert (pdf.metadata.title, pdf.metadata.author) == ("Would you like another appointment?", "Test Trust")
    xmp = root["/Metadata"].get_data().decode()
    assert "<pdfuaid:part>1</pdfuaid:part>" in xmp
    assert "<pdfaid:part>2</pdfaid:part><pdfaid:conformance>A</pdfaid:conformance>" in xmp
    found = tags(root["/StructTreeRoot"])
    assert found.count("/H1") == 1
    assert {"/H2", "/P", "/L", "/LI", "/Figure"} <= set(found)


def test_it_is_addressed_dated_and_signed() -> None:
    text = words(typeset(letter()))
    for expected in (
        "Ms Test Person 12 Test Street Testtown ZZ99 3WZ",
        "Saturday 28 March 2026",
        "The team Test Trust",
    ):
        assert expected in text
    assert "If undelivered: PO Box 1, Testtown" in text
    assert "Our reference: 2E1D8E73, version 1 Page 1 of 1" in text


def test_the_same_letter_gives_the_same_bytes() -> None:
    assert typeset(letter()) == typeset(letter())
    assert typeset(letter()) != typeset(letter(message="Another"))


@pytest.mark.parametrize("where", ["name", "address", "message", "letterhead"])
def test_whatever_looks_like_markup_is_shown_as_it_is(where: str) -> None:
    stationery = STATIONERY
    changes: dict[str, Any] = {}
    if where == "name":
        changes = {"patient": {**PATIENT, "name": [{"family": HOSTILE}]}}
    elif where == "address":
        changes = {"patient": {**PATIENT, "address": [{"line": [HOSTILE]}]}}
    elif where == "message":
        changes = {"message": HOSTILE}
    else:
        stationery = replace(STATIONERY, letterhead=replace(HEAD, name=HOSTILE, signatory=HOSTILE))
    text = words(typeset(write(matter(**changes), stationery)))
    assert "".join(HOSTILE.split()) in "".join(text.split())


@pytest.mark.parametrize(
    "name", ["Zoë Ångström", "Łukasz Żółć", "Ştefan", "Ольга", "Ελένη", "O\u2019Néill-D\u2019Arcy", "Nguyễn"]
)
def test_names_of_many_languages_are_shown(name: str) -> None:
    assert name in words(typeset(letter(patient={**PATIENT, "name": [{"family": name}]})))


def test_characters_that_no_font_has_are_told_of_without_showing_them() -> None:
    with pytest.raises(ConfigurationError, match=r"letters.fonts: .*no font has \(CJK\)") as raised:
        typeset(letter(patient={**PATIENT, "name": [{"family": "李小龙"}]}))
    assert "李" not in str(raised.value)


def test_a_long_address_stays_on_the_page_and_in_its_place() -> None:
    lines = [f"Line {n} of an address that goes on and on, as some of them do" for n in range(1, 9)]
    pdf = typeset(letter(patient={**PATIENT, "address": [{"line": lines, "postalCode": "ZZ99 3WZ"}]}))
    heights = heights_of(pdf)
    address = [heights[line] for line in (*lines, "ZZ99 3WZ")]
    assert address == sorted(address, reverse=True)
    assert address[-1] - heights["Saturday 28 March 2026"] > 10, "in points: the lines do not meet"


def test_a_long_letter_goes_on_over_numbered_pages() -> None:
    pdf = read(
        typeset(letter(message="\n\n".join(f"Paragraph {n}. " + "Words and more words. " * 20 for n in range(20))))
    )
    assert len(pdf.pages) > 2
    assert f"Page 2 of {len(pdf.pages)}" in " ".join(pdf.pages[1].extract_text().split())


def test_a_logo_that_is_none_is_told_by_its_setting() -> None:
    broken = replace(STATIONERY, letterhead=replace(HEAD, logo=b"no picture", logo_format="png"))
    with pytest.raises(ConfigurationError, match=r"letters\.logo: the logo cannot be used"):
        typeset(write(matter(), broken))


def test_a_font_that_is_not_there_is_told_with_those_that_are() -> None:
    odd = replace(STATIONERY, letterhead=replace(HEAD, font="Comic Sans"))
    with pytest.raises(
        ConfigurationError, match=r"letters\.font: no font is called 'Comic Sans'; there are .*Libertinus"
    ):
        typeset(write(matter(), odd))


def test_pages_can_be_looked_at() -> None:
    assert [page[:8] for page in png(letter())] == [b"\x89PNG\r\n\x1a\n"]


@pytest.mark.parametrize("action", sorted(STATIONERY.templates.by_action))
def test_every_letter_can_be_set_for_everybody_it_is_for(action: str) -> None:
    roles = {
        "patient": "patient", "family": "family", "gp": "gp", "referrer": "referrer", "agency": "agency",
        "authority": "commissioner", "safeguarding": "safeguarding-lead", "child-services": "education",
        "board": "board-member", "staff": "team-manager",
    }  # fmt: skip
    for audience in STATIONERY.templates.by_action[action].to:
        made = sample(action, roles[audience.value], STATIONERY)
        assert made.title in words(typeset(made))
