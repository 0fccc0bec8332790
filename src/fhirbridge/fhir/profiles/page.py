"""`docs/profiles.md`: what is in `profiles/`, for the person who receives what the service writes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from fhirbridge.fhir import canonical
from fhirbridge.fhir.r4 import Resource

_INTRODUCTION = f"""\
# Profiles

What fhirbridge writes into an EPR, and what it would have an EPR offer, as FHIR R4 (4.0.1) conformance resources. They
are in [`profiles/`](../profiles/), one JSON file each, under the canonical base `{canonical.BASE}`. This page and all
that it lists are made by `python -m fhirbridge.generate --write`; `make check` says when something has drifted.

Every resource that the service writes names its profile in `meta.profile`. The profiles are differentials on R4's own
base definitions. UK Core (2025-06) has no active profile of any of these types (its Task, Flag, CarePlan and
Communication are drafts without constraints, and there is none of Provenance), so none is named beside ours; that what
is written would keep a profile of UK Core is checked by no machine.

The project's tests have everything that its cases and its tests with real servers write validated by two independent
validators, one with these profiles and code systems; and they keep resources with one fault each that have to be found.
"""


def page(
    structures: Sequence[Resource],
    terminology: Iterable[Resource],
    statements: Iterable[Resource],
    examples: Mapping[str, tuple[str, str]],
) -> str:
    """The page; `examples` by name: what each shows, and its resource type."""
    systems = [one for one in terminology if one["resourceType"] == "CodeSystem"]
    parts = [_INTRODUCTION]
    for structure in structures:
        parts.append("\n".join(_profile(structure, examples)))
    parts.append("\n".join(_systems(systems)))
    parts.append("\n".join(_statements(statements)))
    return "\n".join(parts)


def _profile(structure: Resource, examples: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    yield f"## {structure['title']}"
    yield ""
    yield f"[`{structure['url']}`]({_file(structure)})"
    yield ""
    yield structure["description"]
    yield ""
    yield "| element | how often | what it holds |"
    yield "| --- | --- | --- |"
    for element in structure["differential"]["element"]:
        says = _says(element)
        if says and "." in element["id"]:
            yield f"| `{element['id'].partition('.')[2]}` | {_often(element)} | {says} |"
    for element in structure["differential"]["element"]:
        for rule in element.get("constraint", ()):
            yield ""
            yield f"Rule `{rule['key']}`: {rule['human'][0].lower()}{rule['human'][1:]} (`{rule['expression']}`)."
    mine = [(name, says) for name, (says, kind) in examples.items() if kind == structure["type"]]
    if mine:
        yield ""
        shown = "; ".join(f"[{says[0].lower()}{says[1:]}](../profiles/examples/{name}.json)" for name, says in mine)
        yield f"Examples: {shown}."
    yield ""


def _says(element: Resource) -> str:
    parts = [element.get("short", "")]
    parts += [f"`{value}`" for name, value in element.items() if name.startswith("fixed")]
    if "binding" in element:
        parts.append(f"a code of {_linked(element['binding']['valueSet'])}")
    parts += [
        " or ".join(target.rpartition("/")[2] for target in one["targetProfile"])
        for one in element.get("type", ())
        if "targetProfile" in one
    ]
    return "; ".join(filter(None, parts))


def _often(element: Resource) -> str:
    if "min" not in element and "max" not in element:
        return ""
    return f"at least {element['min']}" if "max" not in element else f"{element.get('min', 0)} to {element['max']}"


def _linked(value_set: str) -> str:
    name = value_set.rpartition("/")[2]
    return f"[{name}](../profiles/CodeSystem/{name}.json)" if value_set.startswith(canonical.BASE) else f"R4's {name}"


def _systems(systems: Iterable[Resource]) -> Iterator[str]:
    yield "## Code systems"
    yield ""
    yield "Each is complete, with a ValueSet of the same name. Codes of `write` are made one by one, and not listed."
    yield ""
    yield "| code system | codes | what they say |"
    yield "| --- | --- | --- |"
    for system in systems:
        yield f"| [`{system['url']}`]({_file(system)}) | {system.get('count', '')} | {system['description']} |"
    yield ""


def _statements(statements: Iterable[Resource]) -> Iterator[str]:
    yield "## Capability statements"
    yield ""
    for statement in statements:
        yield f"- [{statement['title']}]({_file(statement)}): {statement['description']}"


def _file(resource: Resource) -> str:
    return f"../profiles/{resource['resourceType']}/{resource['id']}.json"
