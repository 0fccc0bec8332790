"""YAML that remembers where everything stood, so that a wrong mapping is refused with file and line."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import yaml
from msgspec import Struct

from fhirbridge.errors import ConfigurationError
from fhirbridge.fhir.nearest import nearest

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The safe loader in C, ten times as fast, where PyYAML was built with it."""


class Spot(Struct, frozen=True):
    """A place in a YAML file, read as what is expected there or refused with file and line."""

    node: yaml.Node
    file: Path

    @property
    def place(self) -> str:
        """`file:line`."""
        return f"{self.file}:{self.node.start_mark.line + 1}"

    def fail(self, message: str) -> NoReturn:
        """Raise ConfigurationError for this place."""
        raise ConfigurationError(message, place=self.place)

    def is_text(self) -> bool:
        """Whether a scalar is here."""
        return isinstance(self.node, yaml.ScalarNode)

    def is_sequence(self) -> bool:
        """Whether a list is here."""
        return isinstance(self.node, yaml.SequenceNode)

    def text(self) -> str:
        """The scalar here, as written."""
        if not isinstance(self.node, yaml.ScalarNode):
            self.fail("a single value is expected here")
        return str(self.node.value)

    def texts(self) -> list[str]:
        """The scalar or the list of scalars here."""
        return [spot.text() for spot in self.sequence()] if self.is_sequence() else [self.text()]

    def sequence(self) -> list[Spot]:
        """The items of the list here."""
        if not isinstance(self.node, yaml.SequenceNode):
            self.fail("a list is expected here")
        return [Spot(node, self.file) for node in self.node.value]

    def items(self, allowed: set[str] | None = None) -> dict[str, Spot]:
        """The keys and values here, in order; only `allowed` keys, where given, and none twice."""
        if not isinstance(self.node, yaml.MappingNode):
            self.fail("keys with values are expected here")
        found: dict[str, Spot] = {}
        for key_node, value_node in self.node.value:
            key = Spot(key_node, self.file)
            name = key.text()
            if name in found:
                key.fail(f"{name!r} is here twice")
            if allowed is not None and name not in allowed:
                known = ", ".join(sorted(allowed))
                key.fail(f"{name!r} means nothing here; known are {known}{nearest(name, allowed)}")
            found[name] = Spot(value_node, self.file)
        return found

    def value(self) -> Any:
        """Everything here as plain Python values; dates stay text, as in JSON."""
        if self.is_sequence():
            return [spot.value() for spot in self.sequence()]
        if not self.is_text():
            return {name: spot.value() for name, spot in self.items().items()}
        match self.node.tag.rpartition(":")[2]:
            case "bool":
                return self.text().lower() in {"true", "yes", "on"}
            case "int":
                return int(self.text())
            case "null":
                return None
            case _:
                return self.text()


def load(file: Path) -> Spot:
    """The top of a YAML file. Raises ConfigurationError when it cannot be read."""
    try:
        node = yaml.compose(file.read_text(encoding="utf-8"), Loader=LOADER)
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}", place=str(file)) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise ConfigurationError(f"not YAML: {getattr(error, 'problem', error)}", place=f"{file}{line}") from error
    if node is None:
        raise ConfigurationError("is empty", place=f"{file}:1")
    return Spot(node, file)
