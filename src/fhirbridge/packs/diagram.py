"""A pathway drawn as a state diagram: from its start through its steps, each line labelled with the condition on it.

Steps stand in columns by how many others come before them. What has to hold for a step is written to its left, where
the lines from the steps that it waits for arrive. A step of another pathway that is waited for is drawn with a dashed
border. The result is SVG to stand inside an HTML page; every text in it is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from textwrap import wrap
from typing import Any

from msgspec import Struct

from fhirbridge.core.authored_conditions import When
from fhirbridge.core.authoring import Act, PackFile, Pathway, Step
from fhirbridge.core.codes import display, in_words
from fhirbridge.core.sentences import Sentences, atoms, children, said
from fhirbridge.core.wording import listed, several

_BOX, _LABEL, _GAP, _MARGIN, _PILL = 236, 168, 18, 12, 92
_LINE, _PAD = 15, 9
_TITLE_CHARS, _SMALL_CHARS, _LABEL_CHARS = 29, 35, 25
_START, _BACK = "(start)", "(back)"
_COLOURS = {"task": "#005eb8", "communication": "#007f3b", "flag": "#b8860b", "care_plan": "#6f2c91"}
_STYLE = (
    "text{font:12.5px system-ui,sans-serif;fill:#212b32}"
    ".t{font-weight:600}.s{font-size:11px;fill:#425563}.l{font-size:11px;fill:#425563;font-style:italic}"
    ".b{fill:#fff;stroke:#425563}.o{fill:#fff;stroke:#768692;stroke-dasharray:5 4}"
    ".p{fill:#005eb8}.p+text{fill:#fff;font-weight:600}.g{fill:#007f3b}.g+text{fill:#fff;font-weight:600}"
    ".e{fill:none;stroke:#768692;stroke-width:1.4}"
)


class _Node(Struct):
    """Something drawn: its lines of text, the label on the lines that lead to it, and where it stands."""

    name: str
    kind: str
    lines: list[tuple[str, str]]
    marks: list[tuple[int, str]]
    label: list[str]
    after: list[str]
    column: int
    y: float = 0

    @property
    def width(self) -> int:
        return _PILL if self.kind in ("start", "back") else _BOX

    @property
    def height(self) -> int:
        return len(self.lines) * _LINE + 2 * _PAD

    @property
    def room(self) -> int:
        return max(self.height, len(self.label) * (_LINE - 1) + 4)

    @property
    def x(self) -> int:
        if self.column == 0:
            return _MARGIN
        return _MARGIN + _BOX * (self.column - 1) + _PILL + (_LABEL + 2 * _GAP) * self.column

    @property
    def middle(self) -> float:
        return self.y + self.room / 2


def draw(pathway: Pathway, pack: PackFile, ends: str) -> str:
    """The pathway as SVG; `ends` says below it when a run ends."""
    nodes = _nodes(pathway, pack)
    _place(nodes)
    width = max(node.x + node.width for node in nodes.values()) + _MARGIN
    footer = wrap(f"A run ends when {ends}.", max(40, width // 6)) if ends else []
    below = max(node.y + node.room for node in nodes.values()) + 22
    height = below + len(footer) * _LINE + _MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width}" height="{height:.0f}" '
        f'viewBox="0 0 {width} {height:.0f}" aria-label="{escape(f"Diagram of the pathway {pathway.title}")}">',
        f"<style>{_STYLE}</style>",
        '<defs><marker id="a" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#768692"/></marker></defs>',
        *(line for node in nodes.values() for line in _lines(node, nodes)),
        *(shape for node in nodes.values() for shape in _shapes(node)),
        *_footer(footer, below),
        "</svg>",
    ]
    return "\n".join(parts)


# --- what is drawn -----------------------------------------------------------------------------------


def _nodes(pathway: Pathway, pack: PackFile) -> dict[str, _Node]:
    titles = {step.id: step.title for other in pack.pathways for step in other.steps}
    brief, full = Sentences(pack, brief=True), Sentences(pack)
    start = _Node(_START, "start", [("t", "Starts")], [], [], [], 0)
    nodes = {_START: start}
    for step in pathway.steps:
        when = None if isinstance(step.when, str) else step.when
        after = [] if when is None else list(dict.fromkeys(_steps_in(when, titles)))
        for other in after:
            if other not in nodes:
                lines = [("s", line) for line in wrap(titles[other], _SMALL_CHARS)]
                nodes[other] = _Node(other, "other", [*lines, ("s", "(another pathway)")], [], [], [], 1)
        if not after and when is not None and _waits_for_contact(when):
            nodes.setdefault(_BACK, _Node(_BACK, "back", [("t", "Run ends")], [], ["back in contact"], [_START], 1))
            after = [_BACK]
        label = [] if when is None else wrap(said((full if _mixed(when) else brief).condition(when)), _LABEL_CHARS)
        if after == [_BACK] and when is not None and len(list(atoms(when))) == 1:
            label = wrap(said(brief.condition(when)).removeprefix("the patient is "), _LABEL_CHARS)
        column = 1 + max((nodes[name].column for name in after), default=0)
        nodes[step.id] = _step(step, full, label, after or [_START], column)
    if not any(_START in node.after for node in nodes.values()):
        for node in nodes.values():
            node.after = node.after or ([_START] if node.kind == "other" else [])
    return nodes


def _step(step: Step, voice: Sentences, label: list[str], after: list[str], column: int) -> _Node:
    lines = [("t", line) for line in wrap(step.title, _TITLE_CHARS)]
    marks = []
    for act in step.do:
        kind, words = _act(act, voice)
        marks.append((len(lines), _COLOURS[kind]))
        lines += [("s", line) for line in wrap(words, _SMALL_CHARS - 2)]
    lines += [("s", line) for line in wrap(voice.recurrence(step), _SMALL_CHARS - 2)]
    return _Node(step.id, "step", lines, marks, label, after, column)


def _act(act: Act, voice: Sentences) -> tuple[str, str]:
    kind = next((kind for kind in _COLOURS if getattr(act, kind)), "task")
    to = f" → {listed(map(in_words, several(act.to)), 'and')}" if act.to else ""
    by = f", {voice.deadline(act)}" if act.due else ""
    return kind, f"{display(getattr(act, kind) or '')}{to}{by}"


def _steps_in(value: Any, known: Iterable[str]) -> Iterator[str]:
    """Every step that a condition names, wherever in it."""
    if isinstance(value, Struct):
        for name in value.__struct_fields__:
            yield from _steps_in(getattr(value, name), known)
    elif isinstance(value, tuple):
        for inner in value:
            yield from _steps_in(inner, known)
    elif isinstance(value, str) and value in known:
        yield value


def _waits_for_contact(when: When) -> bool:
    return when.contact is not None or any(_waits_for_contact(part) for part in (*when.all, *when.any))


def _mixed(when: When) -> bool:
    """Whether the label has to name steps, because it says something different of each."""
    groups = [tuple(_steps_in(value, _Any())) for value in _values(when)]
    return len({group for group in groups if group}) > 1


def _values(when: When) -> Iterator[Any]:
    for name, value in atoms(when):
        if name in ("outcome", "reached", "sent", "passed"):
            yield getattr(value, "of", value)
    for part in children(when):
        yield from _values(part)


class _Any(list[str]):
    """Knows every name."""

    def __contains__(self, _: object) -> bool:
        return True


# --- where it stands ---------------------------------------------------------------------------------


def _place(nodes: dict[str, _Node]) -> None:
    """Column by column, each node as near to the middle of those before it as there is room."""
    columns: dict[int, list[_Node]] = {}
    for node in nodes.values():
        columns.setdefault(node.column, []).append(node)
    for number in sorted(columns):
        below: float = _MARGIN
        for node in sorted(columns[number], key=lambda node: _wish(node, nodes)):
            wished = _wish(node, nodes) - node.room / 2 if number > 1 else 0
            node.y = max(below, wished)
            below = node.y + node.room + _GAP
    first = [node for node in nodes.values() if node.column == 1]
    if first:
        start = nodes[_START]
        start.y = max(_MARGIN, (first[0].y + max(node.y + node.room for node in first)) / 2 - start.room / 2)


def _wish(node: _Node, nodes: dict[str, _Node]) -> float:
    before = [nodes[name].middle for name in node.after if name in nodes and nodes[name].column > 0]
    return sum(before) / len(before) if before else 0


# --- how it is drawn ---------------------------------------------------------------------------------


def _lines(node: _Node, nodes: dict[str, _Node]) -> Iterator[str]:
    left = node.x - _LABEL - _GAP
    for name in node.after:
        source = nodes[name]
        x, y = source.x + source.width, source.middle
        bend = max(20.0, (left - x) / 2)
        yield (
            f'<path class="e" d="M{x} {y:.1f}C{x + bend:.1f} {y:.1f} {left - bend:.1f} {node.middle:.1f} '
            f'{left} {node.middle:.1f}"/>'
        )
    if node.after:
        yield f'<path class="e" marker-end="url(#a)" d="M{left} {node.middle:.1f}H{node.x}"/>'


def _shapes(node: _Node) -> Iterator[str]:
    top = node.middle - node.height / 2
    style = {"start": "p", "back": "g", "other": "o"}.get(node.kind, "b")
    round_ = node.height / 2 if node.kind in ("start", "back") else 5
    yield (
        f'<rect class="{style}" x="{node.x}" y="{top:.1f}" width="{node.width}" height="{node.height}" rx="{round_}"/>'
    )
    inset = 22 if node.kind == "step" else 12
    for index, (size, text) in enumerate(node.lines):
        x = node.x + (_PAD if size == "t" and node.kind == "step" else inset)
        y = top + _PAD + index * _LINE + 11
        yield f'<text class="{size}" x="{x}" y="{y:.1f}">{escape(text)}</text>'
    for index, colour in node.marks:
        y = top + _PAD + index * _LINE + 3
        yield f'<rect x="{node.x + _PAD}" y="{y:.1f}" width="8" height="8" fill="{colour}"/>'
    yield from _label(node)


def _label(node: _Node) -> Iterator[str]:
    if not node.label:
        return
    x, size = node.x - _LABEL - _GAP + 4, _LINE - 1
    top = node.middle - len(node.label) * size / 2
    height = len(node.label) * size
    yield f'<rect x="{x - 2}" y="{top - 2:.1f}" width="{_LABEL - 8}" height="{height + 4}" fill="#f0f4f5" rx="3"/>'
    for index, text in enumerate(node.label):
        yield f'<text class="l" x="{x + 3}" y="{top + index * size + 11:.1f}">{escape(text)}</text>'


def _footer(lines: list[str], top: float) -> Iterator[str]:
    if lines:
        yield f'<circle cx="{_MARGIN + 7}" cy="{top + 1:.1f}" r="6" fill="none" stroke="#212b32"/>'
        yield f'<circle cx="{_MARGIN + 7}" cy="{top + 1:.1f}" r="3" fill="#212b32"/>'
    for index, text in enumerate(lines):
        yield f'<text x="{_MARGIN + 20}" y="{top + 5 + index * _LINE:.1f}">{escape(text)}</text>'
