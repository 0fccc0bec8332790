"""The grammar of FHIRPath: text to a tree, with the position of what is wrong.

All of FHIRPath N1 (hl7.org/fhirpath/N1/grammar.html) is parsed, also what `paths` then leaves to fhirpathpy, because
fhirpathpy takes many slips of the keyboard for shorter expressions and evaluates those.
"""

from __future__ import annotations

import re
from typing import NoReturn

from msgspec import Struct

from fhirbridge.errors import ConfigurationError


class Literal(Struct, frozen=True):
    """A string, number or truth value; `kind` is its type, `other` for dates, times and quantities."""

    value: object
    kind: str


class Name(Struct, frozen=True):
    """A member: of `of`, or of what the expression is applied to."""

    name: str
    of: Node | None


class Variable(Struct, frozen=True):
    """`$this`, `$index`, `$total` or `%name`."""

    name: str


class Call(Struct, frozen=True):
    """A function applied to `of`, or to what the expression is applied to."""

    name: str
    of: Node | None
    arguments: tuple[Node, ...]


class Item(Struct, frozen=True):
    """`of[index]`."""

    of: Node
    index: Node


class Operation(Struct, frozen=True):
    """A binary operator; for `is` and `as` the right side is the name of a type."""

    operator: str
    left: Node
    right: Node


class Sign(Struct, frozen=True):
    """A unary plus or minus."""

    operator: str
    of: Node


class Nothing(Struct, frozen=True):
    """`{}`."""


Node = Literal | Name | Variable | Call | Item | Operation | Sign | Nothing

FUNCTIONS = frozenset(
    """
    abs all allFalse allTrue anyFalse anyTrue aggregate as ceiling children combine conformsTo contains
    convertsToBoolean convertsToDate convertsToDateTime convertsToDecimal convertsToInteger convertsToQuantity
    convertsToString convertsToTime count decode descendants distinct elementDefinition empty encode endsWith escape
    exclude exists exp extension first floor getValue hasValue htmlChecks iif indexOf intersect is isDistinct join last
    lastIndexOf length ln log lower matches matchesFull memberOf not now ofType power repeat replace replaceMatches
    resolve round select single skip slice split sqrt startsWith subsetOf substring subsumedBy subsumes supersetOf tail
    take timeOfDay toBoolean toChars toDate toDateTime toDecimal toInteger toQuantity toString toTime today trace trim
    truncate type unescape union upper where
    """.split()  # noqa: SIM905 (a list literal would be a hundred lines)
)
_PRECEDENCE = (
    ("implies",),
    ("or", "xor"),
    ("and",),
    ("in", "contains"),
    ("=", "~", "!=", "!~"),
    ("<=", "<", ">", ">="),
    ("|",),
    ("is", "as"),
    ("+", "-", "&"),
    ("*", "/", "div", "mod"),
)
_TOKEN = re.compile(
    r"""\s+|//[^\n]*|/\*.*?\*/
    |(?P<string>'(?:[^'\\]|\\.)*')
    |(?P<date>@[0-9T][0-9T:.Z+-]*)
    |(?P<number>[0-9]+(?:\.[0-9]+)?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*|`(?:[^`\\]|\\.)*`)
    |(?P<variable>\$(?:this|index|total)|%(?:[A-Za-z_][A-Za-z0-9_]*|`[^`]*`|'[^']*'))
    |(?P<symbol><=|>=|!=|!~|[.\[\](){},|=~<>+\-*/&])""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}
_UNITS = frozenset("year years month months week weeks day days hour hours minute minutes second seconds".split())  # noqa: SIM905
_DEEPEST = 50


class _Token(Struct, frozen=True):
    kind: str
    text: str
    at: int


def parse(expression: str) -> Node:
    """Parse one FHIRPath expression.

    Raises ConfigurationError with the expression, the position (from 1) and what was expected there.
    """
    parser = _Parser(expression)
    node = parser.expression(0)
    if parser.now.kind != "end":
        parser.fail("an operator or the end")
    return node


class _Parser:
    def __init__(self, expression: str) -> None:
        self.text = expression
        self.tokens = self._tokens()
        self.index = 0
        self.depth = 0

    @property
    def now(self) -> _Token:
        return self.tokens[self.index]

    def fail(self, expected: str, at: int | None = None) -> NoReturn:
        at = self.now.at if at is None else at
        found = f"found {self.text[at : at + 12]!r}" if at < len(self.text) else "it ends there"
        raise ConfigurationError(f"FHIRPath {self.text!r}, position {at + 1}: expected {expected}, {found}")

    def _tokens(self) -> list[_Token]:
        tokens: list[_Token] = []
        at = 0
        while at < len(self.text):
            match = _TOKEN.match(self.text, at)
            if match is None:
                self.fail("a name, a literal or an operator", at)
            if match.lastgroup:
                tokens.append(_Token(match.lastgroup, match.group(), at))
            at = match.end()
        return [*tokens, _Token("end", "", at)]

    def _take(self, *texts: str) -> str:
        token = self.now
        if token.kind in {"symbol", "name"} and token.text in texts:
            self.index += 1
            return token.text
        return ""

    def _need(self, text: str) -> None:
        if not self._take(text):
            self.fail(repr(text))

    def expression(self, level: int) -> Node:
        if level == len(_PRECEDENCE):
            return self._signed()
        left = self.expression(level + 1)
        while operator := self._take(*_PRECEDENCE[level]):
            right = self._type() if operator in {"is", "as"} else self.expression(level + 1)
            left = Operation(operator, left, right)
        return left

    def _type(self) -> Node:
        node: Node = Name(self._identifier(), None)
        while self._take("."):
            node = Name(self._identifier(), node)
        return node

    def _signed(self) -> Node:
        if sign := self._take("+", "-"):
            return Sign(sign, self._signed())
        return self._followed(self._term())

    def _followed(self, node: Node) -> Node:
        while True:
            if self._take("."):
                node = self._invocation(node)
            elif self._take("["):
                node = Item(node, self.expression(0))
                self._need("]")
            else:
                return node

    def _term(self) -> Node:
        token = self.now
        if token.kind in {"string", "number", "date", "variable"}:
            self.index += 1
            return self._literal(token)
        if token.text in {"true", "false"} and token.kind == "name":
            self.index += 1
            return Literal(token.text == "true", "boolean")
        if self._take("("):
            inner = self._nested()
            self._need(")")
            return inner
        if self._take("{"):
            self._need("}")
            return Nothing()
        return self._invocation(None)

    def _nested(self) -> Node:
        self.depth += 1
        if self.depth > _DEEPEST:
            self.fail(f"no more than {_DEEPEST} brackets within brackets")
        node = self.expression(0)
        self.depth -= 1
        return node

    def _literal(self, token: _Token) -> Node:
        if token.kind == "string":
            return Literal(_unescaped(token.text[1:-1]), "string")
        if token.kind == "variable":
            return Variable(token.text)
        if token.kind == "date":
            return Literal(token.text, "other")
        if self.now.text in _UNITS or self.now.kind == "string":
            self.index += 1
            return Literal(token.text, "other")
        return Literal(float(token.text), "decimal") if "." in token.text else Literal(int(token.text), "integer")

    def _identifier(self) -> str:
        token = self.now
        if token.kind != "name":
            self.fail("a name")
        self.index += 1
        return _unescaped(token.text[1:-1]) if token.text.startswith("`") else token.text

    def _invocation(self, of: Node | None) -> Node:
        token = self.now
        if token.kind == "variable" and of is not None:
            self.index += 1
            return self._literal(token)
        name = self._identifier()
        if not self._take("("):
            return Name(name, of)
        if name not in FUNCTIONS:
            self.fail("the name of a FHIRPath function", token.at)
        arguments: list[Node] = []
        while not self._take(")"):
            if arguments:
                self._need(",")
            arguments.append(self._nested())
        return Call(name, of, tuple(arguments))


def _unescaped(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        code = match.group(1)
        return chr(int(code[1:], 16)) if code.startswith("u") else _ESCAPES.get(code, code)

    return re.sub(r"\\(u[0-9a-fA-F]{4}|.)", one, text)
