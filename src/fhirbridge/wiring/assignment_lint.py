"""What is wrong with how settings assign packs: two packs for the same cases that ask for the same thing, above all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from fhirbridge.core.effects import Kind
from fhirbridge.core.policy import Pack
from fhirbridge.errors import ConfigurationError
from fhirbridge.packs.lint import Flaw
from fhirbridge.settings import Settings
from fhirbridge.wiring.policies import assignments_of, calendar_of, pack_of

Asked = tuple[Kind, str, str]


def lint_assignments(settings: Settings) -> list[Flaw]:
    """Everything that is wrong with which packs the settings give to whom.

    Raises:
        ConfigurationError: a pack, or a setting of one, does not exist.
    """
    calendar = calendar_of(settings.zone, settings.holidays)
    flaws: list[Flaw] = []
    for place, names in _given(settings):
        try:
            packs = [pack_of(name, settings, calendar) for name in names]
        except ConfigurationError as error:
            raise ConfigurationError(error.message, place=place) from error
        flaws += _overlaps(place, packs)
    assignments = assignments_of(settings, calendar)
    for number, assignment in enumerate(assignments):
        flaws += _overlaps(f"services.{assignment.name}.packs", assignment.packs)
        before = next((one for one in assignments[:number] if not one.keys and not one.settings), None)
        if before is not None:
            what = f"{before.name} stands before it and takes every case"
            flaws.append(Flaw(f"services.{assignment.name}", "", what, f"Move {before.name} to the end."))
    return flaws


def _given(settings: Settings) -> Iterator[tuple[str, tuple[str, ...]]]:
    if not settings.services:
        yield "packs", settings.packs
    yield from ((f"eprs.{name}.packs", epr.packs) for name, epr in settings.eprs.items() if epr.packs)


def _overlaps(place: str, packs: Sequence[Pack]) -> Iterator[Flaw]:
    """What two packs for the same cases both ask for: two obligations, where one would do."""
    for one, other in combinations(packs, 2):
        mine, theirs = _asked(one), _asked(other)
        for asked in sorted(mine.keys() & theirs.keys()):
            kind, action, role = asked
            of = f" of {role}" if role else ""
            yield Flaw(
                place,
                f"{mine[asked]} and {theirs[asked]}",
                f"the packs {one.name} and {other.name} both ask for {kind} {action}{of}: two obligations",
                "Assign one of them to these cases, or make one pack of both.",
            )


def _asked(pack: Pack) -> dict[Asked, str]:
    """What the pack can ask for, each with the first step that does."""
    asked: dict[Asked, str] = {}
    for pathway in pack.pathways:
        for step in pathway.steps:
            for act in step.acts:
                if not act.ends:
                    asked.setdefault((act.kind, act.action, act.role), step.id)
    return asked
