"""What import-linter cannot say: an allowlist for the core, and no clock in it."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src" / "fhirbridge"
PURE = sorted([*(SRC / "core").rglob("*.py"), SRC / "errors.py"])

CLOCKED = {"asyncio", "random", "secrets", "threading", "time"}
OUTSIDE = {"http", "io", "logging", "multiprocessing", "os", "pathlib", "shutil", "socket", "sqlite3", "subprocess"}
IMPURE = CLOCKED | OUTSIDE | {"tempfile", "urllib"}
ALLOWED = (set(sys.stdlib_module_names) - IMPURE) | {"msgspec"}
CLOCKS = {"now", "today", "utcnow"}


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "."


def impurities(source: str) -> list[str]:
    """What in `source` reaches past the standard library's pure part and msgspec, or asks what time it is."""
    tree = ast.parse(source)
    found = [
        name
        for name in imported(tree)
        if name.split(".")[0] not in ALLOWED and not name.startswith(("fhirbridge.core", "fhirbridge.errors"))
    ]
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    found += [call.attr for call in calls if isinstance(call, ast.Attribute) and call.attr in CLOCKS]
    return found


def test_the_core_is_pure() -> None:
    assert PURE
    assert {path: found for path in PURE if (found := impurities(path.read_text()))} == {}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import httpx", ["httpx"]),
        ("from pathlib import Path", ["pathlib"]),
        ("from fhirbridge.service import advance", ["fhirbridge.service"]),
        ("def f():\n    import random", ["random"]),
        ("datetime.now(UTC)", ["now"]),
        ("import msgspec, datetime\nfrom fhirbridge.core.facts import Fact\nnow.date()", []),
    ],
)
def test_an_impurity_would_be_found(source: str, found: list[str]) -> None:
    assert impurities(source) == found
