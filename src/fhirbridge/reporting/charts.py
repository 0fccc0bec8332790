"""Bars drawn as SVG: what was due, by what became of it. Always beside the table with the same numbers.

Each part has its number written in it where there is room, and its own hatching, so that nothing hangs on colour.
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.sax.saxutils import escape

from fhirbridge.reporting.figures import Figures

PARTS = (
    ("in_time", "in time", "#00703c", "#ffffff"),
    ("late", "late", "#ffdd00", "#212b32"),
    ("not_done", "not done", "#b10e1e", "#ffffff"),
    ("withdrawn", "withdrawn", "#aeb7bd", "#212b32"),
    ("open", "not due yet", "#ffffff", "#212b32"),
)
"""Field of the figures, words, fill and the colour of text on it (contrast of 4.5 to 1 at least)."""

_WIDTH, _LABEL, _BAR, _GAP = 760, 190, 26, 10
_DIGIT = 9


def chart(rows: Iterable[tuple[str, Figures]], name: str, title: str) -> str:
    """A bar for each row, all to one scale; `name` is unique in the page, `title` says what is shown."""
    bars = list(rows)
    most = max((figures.due for _, figures in bars), default=0)
    if not most:
        return ""
    height = len(bars) * (_BAR + _GAP) + _GAP
    drawn = [_bar(index, label, figures, (_WIDTH - _LABEL) / most) for index, (label, figures) in enumerate(bars)]
    told = "; ".join(f"{label}: {in_words(figures)}" for label, figures in bars)
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-labelledby="{name}-title {name}-desc">'
        f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(told)}</desc>'
        f"{''.join(drawn)}</svg>"
    )


def in_words(figures: Figures) -> str:
    """The figures as a sentence without its full stop."""
    parts = (f"{getattr(figures, field)} {words}" for field, words, _, _ in PARTS if getattr(figures, field))
    return f"{figures.due} due, {', '.join(parts)}" if figures.due else "nothing due"


def _bar(index: int, label: str, figures: Figures, scale: float) -> str:
    top = _GAP + index * (_BAR + _GAP)
    middle = top + _BAR / 2
    drawn = [f'<text x="{_LABEL - 10}" y="{middle}" class="label">{escape(label)}</text>']
    left = float(_LABEL)
    for field, words, fill, ink in PARTS:
        count = getattr(figures, field)
        width = count * scale
        if count:
            drawn.append(
                f'<rect x="{left:.1f}" y="{top}" width="{max(width - 1, 1):.1f}" height="{_BAR}" fill="{fill}" '
                f'class="{field}"><title>{escape(label)}: {count} {words}</title></rect>'
            )
            if width > _DIGIT * len(str(count)) + 6:
                drawn.append(f'<text x="{left + width / 2:.1f}" y="{middle}" fill="{ink}" class="count">{count}</text>')
        left += width
    return "".join(drawn)
