"""Policy packs from YAML files: read, checked and compiled, with errors that name file and line.

A pack is named (one that ships with fhirbridge) or given as the path of a file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec
import yaml

from fhirbridge.core.authoring import PackFile
from fhirbridge.core.calendar import Calendar
from fhirbridge.core.compiling import compile_pack
from fhirbridge.core.conditions.compiling import SettingValue
from fhirbridge.core.policy import Pack
from fhirbridge.errors import ConfigurationError
from fhirbridge.fhir.located_yaml import LOADER
from fhirbridge.shipped import folder

_AT = re.compile(r"^(?P<message>.*?)(?: - at `\$(?P<path>.*)`)?$", re.DOTALL)
_STEP_OF_PATH = re.compile(r"\.([\w-]+)|\[(\d+)\]|\[\.\.\.\]")


def shipped_packs() -> tuple[str, ...]:
    """Names of the packs that ship with fhirbridge."""
    return tuple(sorted(path.stem for path in folder("packs").glob("*.yaml")))


def load_pack(
    name: str,
    *,
    calendar: Calendar,
    overrides: Mapping[str, SettingValue] | None = None,
    risk_when_unrecorded: str = "unknown",
) -> Pack:
    """The pack of that name or path, compiled with a service's settings; ConfigurationError says where it is wrong."""
    path = pack_path(name)
    return _compiled(path, read_pack(path), calendar, overrides, risk_when_unrecorded)


def load_edition(
    path: Path,
    settings: Mapping[str, SettingValue],
    *,
    calendar: Calendar,
    texts: Mapping[str, SettingValue],
    risk_when_unrecorded: str,
) -> Pack:
    """The pack in this file with the settings that a run was started with, and those of the `texts` that it has."""
    written = read_pack(path)
    ours = {name: text for name, text in texts.items() if name in written.texts}
    return _compiled(path, written, calendar, ours | dict(settings), risk_when_unrecorded)


def _compiled(
    path: Path,
    written: PackFile,
    calendar: Calendar,
    overrides: Mapping[str, SettingValue] | None,
    risk_when_unrecorded: str,
) -> Pack:
    try:
        return compile_pack(written, calendar=calendar, overrides=overrides, risk_when_unrecorded=risk_when_unrecorded)
    except ConfigurationError as error:
        raise ConfigurationError(str(error), place=place_of_step(path, str(error))) from error


def pack_path(name: str) -> Path:
    """The file of a pack that ships, or the path itself; ConfigurationError lists the names there are."""
    shipped = folder("packs") / f"{name}.yaml"
    if shipped.is_file():
        return shipped
    given = Path(name)
    if given.is_file():
        return given
    raise ConfigurationError(f"there is no pack {name!r}; shipped are: {', '.join(shipped_packs())}", place="--pack")


def read_pack(path: Path) -> PackFile:
    """The file's contents as written, its shape checked."""
    text = path.read_text(encoding="utf-8")
    try:
        return msgspec.convert(yaml.load(text, Loader=LOADER), PackFile)  # noqa: S506  # a safe loader, in C
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigurationError(f"no YAML: {error.problem}", place=f"{path}:{line}") from error
    except msgspec.ValidationError as error:
        match = _AT.match(str(error))
        message, where = (match["message"], match["path"] or "") if match else (str(error), "")
        tree = tree_of(text)
        raise ConfigurationError(
            f"{where.lstrip('.') or 'pack'}: {message}", place=f"{path}:{line_of(tree, where)}"
        ) from error


def tree_of(text: str) -> yaml.Node | None:
    """The nodes of a YAML text, which know their lines."""
    return yaml.compose(text, Loader=LOADER)


def line_of(node: yaml.Node | None, path: str) -> int:
    """The line of the node at a path such as `.pathways[0].steps[1].when`; of its nearest ancestor if it has none."""
    line = 1
    for match in _STEP_OF_PATH.finditer(path):
        key, index = match.group(1), match.group(2)
        child: yaml.Node | None = None
        if key is not None and isinstance(node, yaml.MappingNode):
            child = next((value for name, value in node.value if name.value == key), None)
        elif index is not None and isinstance(node, yaml.SequenceNode) and int(index) < len(node.value):
            child = node.value[int(index)]
        if child is None:
            return line
        node = child
        line = node.start_mark.line + 1
    return line


def place_of_step(path: Path, message: str) -> str:
    """`file:line` of the step or pathway that a message names as `pack · pathway · step: …`."""
    named = [part.split(":")[0].strip() for part in message.split(" · ")[1:]]
    lines = path.read_text(encoding="utf-8").splitlines()
    for name in reversed(named):
        for number, line in enumerate(lines, start=1):
            if re.fullmatch(rf"\s*(- )?id:\s*[\"']?{re.escape(name)}[\"']?", line):
                return f"{path}:{number}"
    return str(path)
