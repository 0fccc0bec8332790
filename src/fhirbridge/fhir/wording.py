"""Words of what is written in FHIR: paragraphs made of sentences, and the display of the service's own codes."""

from __future__ import annotations

from collections.abc import Iterable

from fhirbridge.core.codes import display as display

KINDS = {"Task": "Task", "Communication": "Message", "Flag": "Flag", "CarePlan": "Care plan"}
"""What people call the types that the service writes."""


def shown(value: object) -> str:
    """A value as it is quoted in an error: enough of it to know it again."""
    return repr(value)[:60]


def sentence(text: str) -> str:
    """The text, ended as a sentence ends; "" stays ""."""
    text = text.strip()
    return text if not text or text[-1] in ".!?" else f"{text}."


def sentences(texts: Iterable[str]) -> str:
    """The texts as one paragraph, each a sentence, none twice."""
    return " ".join(dict.fromkeys(filter(None, map(sentence, texts))))
