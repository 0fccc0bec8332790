"""Codes and lists in an English sentence."""

from __future__ import annotations

from collections.abc import Iterable

from fhirbridge.core.codes import in_words


def listed(parts: Iterable[str], word: str, comma: str = ", ") -> str:
    """The parts as a list in a sentence: "a, b or c"; none twice."""
    *most, last = dict.fromkeys(parts)
    before_last = f"{comma}{word} " if comma == "; " else f" {word} "
    return f"{comma.join(most)}{before_last}{last}" if most else last


def several(given: tuple[str, ...] | str) -> tuple[str, ...]:
    """One or several codes as a tuple."""
    return ((given,) if given else ()) if isinstance(given, str) else given


def signals(codes: tuple[str, ...] | str) -> str:
    """Signals by name: "the signal “immediate risk”"."""
    return "the signal " + listed(map(quoted, several(codes)), "or")


def quoted(code: str) -> str:
    """A code by its name, in quotation marks."""
    return f"“{in_words(code)}”"
