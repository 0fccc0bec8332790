"""The words of letters: one YAML file for each kind, checked as a whole before the first letter is written.

A file says which actions it is for (`actions`), who may get it (`to`, audiences), its `title` and its `body`: parts
with a heading, paragraphs (`says`) and a list (`items`). `{name}` stands for one of `FIELDS`; a paragraph that names a
field which this letter has no value for is left out. `only` keeps a part to some audiences. `include` takes a part of
`shared.yaml`, or one of `MADE`, which are made from the record. A text with `after-death` takes the place of the other
for the same action once the patient is recorded as having died.

A trust's own folder goes before what ships, file by file.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
import yaml
from msgspec import Struct

from fhirbridge.core.codes import ACTIONS
from fhirbridge.errors import ConfigurationError
from fhirbridge.fhir.located_yaml import LOADER
from fhirbridge.letters.audiences import Audience
from fhirbridge.shipped import folder

FIELDS: Mapping[str, str] = {
    "message": "What the policy says has to be told; its paragraphs",
    "patient": "The patient's name",
    "reply_by": "The day by which an answer is asked for, where the policy asks for one",
    "trust": "The name on the letterhead",
    "phone": "The telephone number on the letterhead",
    "hours": "When it is answered",
    "email": "The e-mail address on the letterhead",
    "website": "The website on the letterhead",
    "crisis_phone": "The telephone number for people in a crisis",
}
"""What a text may name, and what stands for it."""

MADE = ("crisis-plan", "plan", "safety-plan", "discharge-headings")
"""Parts that are made from the record: the plans that people wrote, and the headings of a national document."""

SHARED = "shared"


class Part(Struct, frozen=True, forbid_unknown_fields=True):
    """One part of the body."""

    heading: str = ""
    says: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    only: tuple[Audience, ...] = ()
    include: str = ""


class Template(Struct, frozen=True, forbid_unknown_fields=True):
    """The words of one kind of letter. `closing` stands before the signature."""

    actions: tuple[str, ...]
    to: tuple[Audience, ...]
    title: str
    body: tuple[Part, ...]
    closing: str = "Yours sincerely"
    after_death: bool = msgspec.field(default=False, name="after-death")


Shared = dict[str, Part]
Read = TypeVar("Read")


class Templates(Struct, frozen=True):
    """All templates by action, every `include` of a shared part resolved."""

    by_action: dict[str, Template]
    after_death: dict[str, Template] = {}

    def of(self, action: str, audience: Audience, *, died: bool = False) -> Template:
        """The template for this action, about somebody who has `died` the one written for that, if there is any.

        Raises:
            ConfigurationError: there is none, or none that this audience may get.
        """
        template = (self.after_death.get(action) if died else None) or self.by_action.get(action)
        if template is None:
            raise ConfigurationError(f"no letter is written for {action!r}: write a text with it among its actions")
        if audience not in template.to:
            raise ConfigurationError(
                f"{action!r} is not written to {audience.value}: it is for {', '.join(template.to)} alone"
            )
        return template


def load_templates(own: Path | None = None) -> Templates:
    """The texts that ship, those in the folder `own` before them.

    Raises:
        ConfigurationError: the first thing that is wrong, with its file.
    """
    files = _files(own)
    read = {name: _read(file) for name, file in files.items() if name != SHARED}
    shared = _read_shared(files[SHARED])
    if flaws := list(_flaws(files, read, shared)):
        raise flaws[0]
    by_action: dict[str, Template] = {}
    after_death: dict[str, Template] = {}
    for template in read.values():
        body = tuple(_resolved(part, shared) for part in template.body)
        mine = after_death if template.after_death else by_action
        mine.update(dict.fromkeys(template.actions, msgspec.structs.replace(template, body=body)))
    return Templates(by_action, after_death)


def flaws_of(own: Path | None = None) -> list[ConfigurationError]:
    """Everything that is wrong with the texts, each by file and field."""
    try:
        files = _files(own)
    except ConfigurationError as error:
        return [error]
    found: list[ConfigurationError] = []
    read: dict[str, Template] = {}
    shared: Shared = {}
    for name, file in files.items():
        try:
            if name == SHARED:
                shared = _read_shared(file)
            else:
                read[name] = _read(file)
        except ConfigurationError as error:
            found.append(error)
    return found + list(_flaws(files, read, shared))


def _files(own: Path | None) -> dict[str, Path]:
    ours = {file.stem: file for file in sorted((folder("letters") / "texts").glob("*.yaml"))}
    if own is None:
        return ours
    if not own.is_dir():
        raise ConfigurationError(f"{own} is no folder", place="letters.texts")
    return ours | {file.stem: file for file in sorted(own.glob("*.yaml"))}


def _read(file: Path) -> Template:
    return _converted(file, Template)


def _read_shared(file: Path) -> Shared:
    return _converted(file, Shared)


def _converted(file: Path, kind: type[Read]) -> Read:
    try:
        return msgspec.convert(yaml.load(file.read_text(encoding="utf-8"), Loader=LOADER), kind)  # noqa: S506  # a safe loader, in C
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"is no YAML: {' '.join(str(error).split())[:200]}", place=str(file)) from None
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}", place=str(file)) from None
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{error}; the texts that ship show what a text holds", place=str(file)) from None


def _resolved(part: Part, shared: Shared) -> Part:
    if part.include not in shared:
        return part
    common = shared[part.include]
    return msgspec.structs.replace(
        common, only=part.only or common.only, heading=part.heading or common.heading, says=(*part.says, *common.says)
    )


def _flaws(files: Mapping[str, Path], read: Mapping[str, Template], shared: Shared) -> Iterator[ConfigurationError]:
    taken: dict[tuple[str, bool], str] = {}
    for name, template in read.items():
        place = str(files[name])
        for action in template.actions:
            if action not in ACTIONS:
                yield ConfigurationError(f"actions: {action!r} is no action; write one of its codes", place=place)
            mine = (action, template.after_death)
            if mine in taken:
                yield ConfigurationError(f"actions: {action!r} has a text in {taken[mine]} already", place=place)
            taken.setdefault(mine, str(files[name].name))
        yield from _unknown(place, "title", [template.title])
        yield from _unknown(place, "closing", [template.closing])
        for number, part in enumerate(template.body, start=1):
            yield from _of_part(place, f"body, part {number}", part, (*shared, *MADE))
    for name, part in shared.items():
        yield from _of_part(str(files[SHARED]), name, part, ())


def _of_part(place: str, where: str, part: Part, known: Sequence[str]) -> Iterator[ConfigurationError]:
    yield from _unknown(place, where, [part.heading, *part.says, *part.items])
    if part.include and part.include not in known:
        allowed = ", ".join(sorted(known)) or "nothing here"
        yield ConfigurationError(f"{where}: include {part.include!r} is unknown; write {allowed}", place=place)


def _unknown(place: str, where: str, texts: Iterable[str]) -> Iterator[ConfigurationError]:
    for text in texts:
        try:
            named = list(fields_in(text))
        except ValueError as error:
            yield ConfigurationError(f"{where}: {error}: double a brace that is meant as one", place=place)
            continue
        for name in named:
            if name not in FIELDS:
                known = ", ".join(FIELDS)
                yield ConfigurationError(f"{where}: unknown field {{{name}}}; write one of {known}", place=place)


def fields_in(text: str) -> Iterator[str]:
    """The fields that a text names. ValueError where its braces are out of order."""
    for _, name, form, conversion in string.Formatter().parse(text):
        if name is not None:
            yield name + (f"!{conversion}" if conversion else "") + (f":{form}" if form else "")
