"""FHIR STU3 (3.0.2) as XML, the form in which GPs in England get messages; resources are R4's kind of dictionary.

Writing follows the order of the dictionary, so that the same resource gives the same bytes; the order of elements is
part of the format (hl7.org/fhir/STU3/xml.html) and has to be right in it. Reading refuses what could expand or reach
out: a document type, entities, anything but UTF-8.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

from fhirbridge.errors import Defect, SenderError
from fhirbridge.fhir.r4 import Resource

FHIR: str = "http://hl7.org/fhir"
_NAMESPACE = {"f": FHIR}
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, not even escaped."""


def to_xml(resource: Resource) -> bytes:
    """The resource as an XML document, without whitespace between elements."""
    body = _resource(resource, f' xmlns="{FHIR}"')
    return f'<?xml version="1.0" encoding="UTF-8"?>{body}'.encode()


def _resource(resource: Resource, attributes: str = "") -> str:
    name = resource["resourceType"]
    inner = "".join(_element(key, value) for key, value in resource.items() if key != "resourceType")
    return f"<{name}{attributes}>{inner}</{name}>"


def _element(name: str, value: Any) -> str:
    if isinstance(value, list):
        return "".join(_element(name, each) for each in value)
    if isinstance(value, dict):
        return _complex(name, value)
    if name == "div":
        return str(value)
    if isinstance(value, bool):
        return f'<{name} value="{str(value).lower()}"/>'
    if value is None or value == "":
        raise Defect(f"{name} has no value: FHIR has no empty elements")
    return f"<{name} value={quoteattr(_NOT_XML.sub('', str(value)))}/>"


def _complex(name: str, value: dict[str, Any]) -> str:
    if "resourceType" in value:
        return f"<{name}>{_resource(value)}</{name}>"
    url = f" url={quoteattr(value['url'])}" if name == "extension" else ""
    rest = {key: each for key, each in value.items() if not (key == "url" and name == "extension")}
    return f"<{name}{url}>{''.join(_element(key, each) for key, each in rest.items())}</{name}>"


def narrative(paragraphs: tuple[str, ...]) -> Resource:
    """A Narrative of these paragraphs."""
    inner = "".join(f"<p>{escape(_NOT_XML.sub('', text))}</p>" for text in paragraphs)
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{inner}</div>'}


def from_xml(document: bytes, place: str) -> ElementTree.Element:
    """The root element of a FHIR document; `place` says where it came from.

    Raises:
        SenderError: it is not UTF-8, not XML, not FHIR, or has a document type.
    """
    try:
        text = document.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SenderError("is not UTF-8", place=place) from None
    if "<!" in re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL):
        raise SenderError("has a document type or entities; none are read", place=place)
    try:
        root = ElementTree.fromstring(text)  # noqa: S314  # nothing can expand: there are no entities in it
    except (ElementTree.ParseError, ValueError) as error:
        raise SenderError(f"is no XML: {error}", place=place) from None
    if not root.tag.startswith(f"{{{FHIR}}}"):
        raise SenderError("is no FHIR: its namespace is another", place=place)
    return root


def found(element: ElementTree.Element, path: str) -> Iterator[ElementTree.Element]:
    """Elements below this one by their FHIR names: `entry/resource/MessageHeader`."""
    return iter(element.findall("/".join(f"f:{name}" for name in path.split("/")), _NAMESPACE))


def value(element: ElementTree.Element | None, path: str) -> str:
    """The value of the first such element; "" where there is none."""
    first = next(found(element, path), None) if element is not None else None
    return first.get("value", "").strip() if first is not None else ""
