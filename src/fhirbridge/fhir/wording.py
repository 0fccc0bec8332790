"""Codes in words: the display that a code of the service's own systems has wherever it is written.

A code is its display with hyphens (`contact-patient`: "Contact patient"); only abbreviations are written otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable

_ABBREVIATIONS = {
    "dna": "DNA",
    "gp": "GP",
    "mdt": "MDT",
    "mdtm": "MDTM",
    "mha": "MHA",
}


def display(code: str) -> str:
    """Words for a code: `child-gp` is "Child GP"."""
    words = " ".join(_ABBREVIATIONS.get(word, word) for word in code.split("-"))
    return words[:1].upper() + words[1:]


def sentence(text: str) -> str:
    """The text, ended as a sentence ends; "" stays ""."""
    text = text.strip()
    return text if not text or text[-1] in ".!?" else f"{text}."


def sentences(texts: Iterable[str]) -> str:
    """The texts as one paragraph, each a sentence, none twice."""
    return " ".join(dict.fromkeys(filter(None, map(sentence, texts))))
