"""The page says all of a pack, in one file that fetches nothing; its diagrams are well-formed and keep apart."""

import re
from collections.abc import Callable
from io import StringIO
from xml.etree import ElementTree

import pytest
from rich.console import Console

from fhirbridge.cli.policy_page import told
from fhirbridge.core.authoring import PackFile
from fhirbridge.packs.diagram import draw
from fhirbridge.packs.loading import pack_path, read_pack, shipped_packs
from fhirbridge.packs.page import PackPage, describe, html

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(params=shipped_packs(), scope="module")
def shipped(request: pytest.FixtureRequest) -> PackFile:
    return read_pack(pack_path(request.param))


@pytest.fixture(scope="module")
def described(shipped: PackFile) -> PackPage:
    return describe(shipped)


@pytest.fixture(scope="module")
def page(described: PackPage) -> str:
    return html(described)


def test_the_page_names_every_step_setting_and_clause(shipped: PackFile, page: str) -> None:
    page = re.sub(r"\s+", " ", page)

    for pathway in shipped.pathways:
        assert f'id="{pathway.id}"' in page
        for step in pathway.steps:
            assert f'id="{step.id}"' in page
            assert str(step.clause or pathway.clause).replace("'", "&#39;") in page
    for setting in shipped.settings:
        assert f"<code>{setting}</code>" in page
    assert not re.search(r"\$[a-z]|\{[a-z-]+\}</p>", page)


def test_the_page_says_which_steps_wait_while_something_may_be_unknown(shipped: PackFile, page: str) -> None:
    waiting = [step.id for pathway in shipped.pathways for step in pathway.steps if step.towards == "discharge"]
    page = re.sub(r"\s+", " ", page)

    assert page.count("It waits while the service may not know everything") == len(waiting)


def test_the_page_fetches_nothing(page: str) -> None:
    assert not re.search(r'<(?:link|script|img|iframe)|url\((?!#)|@import|(?:src|href)="(?!#)', page)


def test_a_terminal_shows_every_step_too(shipped: PackFile, described: PackPage) -> None:
    paper = StringIO()
    Console(width=200, file=paper).print(told(described))
    shown = paper.getvalue()

    for pathway in shipped.pathways:
        for step in pathway.steps:
            assert step.title in shown


def test_every_pathway_is_drawn_with_all_of_its_steps_and_no_two_boxes_overlap(shipped: PackFile) -> None:
    for pathway in shipped.pathways:
        drawing = ElementTree.fromstring(draw(pathway, shipped, "the episode ends"))
        texts = " ".join(text.text or "" for text in drawing.iter(f"{SVG}text"))
        boxes = [box for box in drawing.iter(f"{SVG}rect") if box.get("class") in {"b", "o", "p", "g"}]
        corners = [tuple(float(box.get(side, "0")) for side in ("x", "y", "width", "height")) for box in boxes]

        assert all(step.title in texts for step in pathway.steps)
        assert not any(
            one != other
            and one[0] < other[0] + other[2]
            and other[0] < one[0] + one[2]
            and one[1] < other[1] + other[3]
            and other[1] < one[1] + one[3]
            for one in corners
            for other in corners
        )
        assert all(
            x >= 0
            and y >= 0
            and x + w <= float(drawing.get("width", "0"))
            and y + h <= float(drawing.get("height", "0"))
            for x, y, w, h in corners
        )


def test_what_a_pack_says_cannot_break_out_of_the_page(pack: Callable[..., PackFile]) -> None:
    hostile = '      - {id: x, title: "<script>alert(1)</script>", when: start, do: [{flag: low-attendance}]}'
    page = html(describe(pack(more=hostile)))

    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_a_line_leads_from_the_step_that_is_waited_for(pack: Callable[..., PackFile]) -> None:
    written = pack()
    drawing = draw(written.pathways[0], written, "")

    assert "it was answered in" in drawing
    assert drawing.count("marker-end") == 2


def test_every_pathway_is_drawn_from_its_start(shipped: PackFile) -> None:
    for pathway in shipped.pathways:
        drawing = draw(pathway, shipped, "")
        start = re.search(r'<rect class="p" x="(\d+)" y="([\d.]+)" width="(\d+)" height="(\d+)"', drawing)
        assert start is not None
        x, y, width, height = map(float, start.groups())
        assert f'd="M{x + width:.0f} {y + height / 2:.1f}C' in drawing
