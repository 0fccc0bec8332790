"""A pack as written → a pack to decide with.

Everything that can be wrong in a pack is found here, before the first patient: unknown settings, periods that are none,
steps that are referred to but do not exist or come later, acts without a code. Errors name the step and the remedy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from string import Formatter

from fhirbridge.core import authoring, policy
from fhirbridge.core.calendar import Calendar, Elapsed, LocalPeriod, WorkingDays, span, spoken
from fhirbridge.core.conditions.attendance import Booked, FirstBooked, InReceipt, Missed
from fhirbridge.core.conditions.circumstances import (
    ChildInvolved,
    EpisodeIs,
    FamilyOnRecord,
    MayShare,
    PlanOnRecord,
    ReferralIs,
    RiskIs,
    RiskWhenMissed,
    SettingIs,
    SignalHolds,
)
from fhirbridge.core.conditions.logic import All, AnyOf, Not
from fhirbridge.core.conditions.progress import (
    PROGRESS_WORDS,
    ContactMade,
    Disengaged,
    OutcomeIs,
    RanBefore,
    Reached,
    Running,
    SentAgo,
    TaskOverdue,
    TimePassed,
)
from fhirbridge.core.effects import Kind
from fhirbridge.core.policy import Condition
from fhirbridge.core.vocabulary import OUTCOMES, SETTINGS, SIGNALS
from fhirbridge.errors import ConfigurationError

SettingValue = str | int
EPISODE_STATES = frozenset({"planned", "waitlist", "active", "onhold", "finished", "cancelled"})
RISK_STATES = frozenset({"identified", "none", "unknown", "contradictory"})
BUILT_IN = frozenset({"missed", "due", "since"})
"""Names a description may use besides the pack's settings."""


def compile_pack(
    written: authoring.PackFile,
    *,
    calendar: Calendar,
    overrides: Mapping[str, SettingValue] | None = None,
    risk_when_unrecorded: str = "unknown",
) -> policy.Pack:
    """Check the pack and make it ready; ConfigurationError names the step and what to write instead."""
    settings = _settings(written, overrides or {})
    compiler = _Compiler(written, settings)
    return policy.Pack(
        name=written.pack,
        version=written.version,
        title=written.title,
        source=written.source,
        settings=settings,
        pathways=tuple(compiler.pathway(p) for p in written.pathways),
        calendar=calendar,
        risk_when_unrecorded=risk_when_unrecorded,
    )


def _settings(written: authoring.PackFile, overrides: Mapping[str, SettingValue]) -> dict[str, SettingValue]:
    unknown = sorted(set(overrides) - set(written.settings))
    if unknown:
        known = ", ".join(sorted(written.settings))
        raise ConfigurationError(f"{unknown[0]!r} is no setting of this pack; it has: {known}", place=written.pack)
    values = {}
    for name, setting in written.settings.items():
        value = overrides.get(name, setting.default)
        if not _within(setting.min, value, setting.max):
            raise ConfigurationError(
                f"{name} is {value}, but must lie between {setting.min} and {setting.max}", place=written.pack
            )
        values[name] = value
    return values


def _within(low: SettingValue, value: SettingValue, high: SettingValue) -> bool:
    return _size(low) <= _size(value) <= _size(high)


def _size(value: SettingValue) -> float:
    """The length of a period in hours, good enough to compare; a number is its own size."""
    if not isinstance(value, str):
        return float(value)
    match span(value):
        case Elapsed(seconds=seconds):
            return seconds / 3600
        case LocalPeriod(months=months, days=days):
            return (months * 30 + days) * 24
        case WorkingDays(days=days):
            return days * 24
        case _:
            return 24


class _Compiler:
    """Compiles the pathways of one pack, remembering which steps exist so far."""

    def __init__(self, written: authoring.PackFile, settings: dict[str, SettingValue]) -> None:
        self.pack = written.pack
        self.settings = settings
        self.seen: set[str] = set()
        self.pathways: set[str] = set()
        self.place = written.pack

    def pathway(self, written: authoring.Pathway) -> policy.Pathway:
        self.place = f"{self.pack} · {written.id}"
        if written.id in self.pathways:
            raise self._wrong(f"two pathways have the id {written.id!r}; rename one")
        starts = self.condition(written.starts)
        self.pathways.add(written.id)
        steps = tuple(self.step(step, written) for step in written.steps)
        return policy.Pathway(
            id=written.id,
            title=written.title,
            clause=written.clause or "",
            starts=starts,
            steps=steps,
            once_per=written.once_per,
            signals=self._codes(written.signals, SIGNALS, "signal"),
            group=written.group,
        )

    def step(self, written: authoring.Step, pathway: authoring.Pathway) -> policy.Step:
        self.place = f"{self.pack} · {pathway.id} · {written.id}"
        if written.id in self.seen:
            raise self._wrong(f"two steps have the id {written.id!r}; add a suffix such as -x and name the row")
        when = None if isinstance(written.when, str) else self.condition(written.when)
        order = len(self.seen)
        self.seen.add(written.id)
        return policy.Step(
            id=written.id,
            row=written.row or written.id,
            clause=written.clause or pathway.clause or "",
            title=written.title,
            when=when,
            until=self.condition(written.until) if written.until else None,
            acts=tuple(act for item in written.do for act in self.acts(item)),
            stands=written.stands,
            closing=not isinstance(written.when, str) and _mentions_contact(written.when),
            order=order,
        )

    def acts(self, written: authoring.Act) -> Iterable[policy.Act]:
        codes = {
            Kind.TASK: written.task,
            Kind.COMMUNICATION: written.communication,
            Kind.FLAG: written.flag,
            Kind.CARE_PLAN: written.care_plan,
        }
        named = [(kind, code) for kind, code in codes.items() if code]
        if len(named) != 1:
            raise self._wrong("an entry of 'do' needs exactly one of task, communication, flag, care-plan")
        kind, action = named[0]
        roles = _several(written.to)
        if bool(roles) != (kind in (Kind.TASK, Kind.COMMUNICATION)):
            raise self._wrong(f"{action}: a task or communication needs 'to', a flag or care-plan has none")
        due = self._value(written.due) if written.due else None
        if (due is not None) != (kind is Kind.TASK):
            raise self._wrong(f"{action}: a task needs 'due', nothing else has one")
        self._check_text(written.says)
        for role in roles or ("",):
            yield policy.Act(
                kind=kind,
                action=action,
                role=role,
                due=span(due) if due else None,
                due_words=spoken(due) if due else "",
                due_from_start=written.due_from == "start",
                by_first_appointment=written.by_first_appointment,
                role_out_of_hours=written.out_of_hours,
                priority=written.priority,
                medium=written.medium,
                reply_within=self._value(written.reply_within) if written.reply_within else None,
                says=written.says,
            )

    # --- conditions ------------------------------------------------------------------------------

    def condition(self, when: authoring.When) -> Condition:
        parts = tuple(self._parts(when))
        if not parts:
            raise self._wrong("a condition is empty; say what must hold, or write 'when: start'")
        return parts[0] if len(parts) == 1 else All(parts)

    def _parts(self, when: authoring.When) -> Iterable[Condition]:
        yield from self._about_patient(when)
        yield from self._about_progress(when)
        if when.all:
            yield All(tuple(self.condition(part) for part in when.all))
        if when.any:
            yield AnyOf(tuple(self.condition(part) for part in when.any))
        if when.not_ is not None:
            yield Not(self.condition(when.not_))

    def _about_patient(self, when: authoring.When) -> Iterable[Condition]:
        if when.missed is not None:
            yield Missed(self._number(when.missed.consecutive))
        if when.in_receipt is not None:
            yield _either(InReceipt(), when.in_receipt)
        if when.referral:
            yield ReferralIs(frozenset(when.referral))
        if when.risk:
            yield RiskIs(self._codes(when.risk, RISK_STATES, "risk"))
        if when.risk_when_missed:
            yield RiskWhenMissed(self._codes(when.risk_when_missed, RISK_STATES, "risk"))
        if when.signal:
            yield SignalHolds(self._codes(when.signal, SIGNALS, "signal"))
        if when.child is not None:
            yield _either(ChildInvolved(), when.child)
        if when.on_record is not None:
            yield FamilyOnRecord() if when.on_record == "family" else PlanOnRecord(when.on_record)
        if when.may_share_with is not None:
            yield MayShare(when.may_share_with)
        if when.setting is not None:
            (setting,) = self._codes(when.setting, SETTINGS, "setting")
            yield SettingIs(setting)
        if when.episode:
            yield EpisodeIs(self._codes(when.episode, EPISODE_STATES, "episode status"))

    def _about_progress(self, when: authoring.When) -> Iterable[Condition]:
        if when.outcome is not None:
            wanted = self._codes(when.outcome.is_, OUTCOMES | PROGRESS_WORDS, "outcome")
            of = tuple(self._step(step) for step in _several(when.outcome.of))
            yield OutcomeIs(of, wanted, when.outcome.action)
        if when.reached:
            yield Reached(tuple(self._step(step) for step in _several(when.reached)))
        if when.sent is not None:
            yield SentAgo(self._step(when.sent.of), span(self._value(when.sent.ago)))
        if when.passed is not None:
            since = self._step(when.passed.of) if when.passed.of else None
            yield TimePassed(span(self._value(when.passed.time)), since)
        if when.contact is not None:
            yield ContactMade(when.contact.or_attended, frozenset(when.contact.without), when.contact.outcome)
        if when.booked is not None:
            yield _either(Booked(), when.booked)
        if when.first_booked is not None:
            yield _either(FirstBooked(), when.first_booked)
        yield from self._about_runs(when)

    def _about_runs(self, when: authoring.When) -> Iterable[Condition]:
        if when.running:
            yield Running(tuple(self._pathway(p) for p in _several(when.running)))
        if when.disengaged:
            yield Disengaged(tuple(self._pathway(p) for p in _several(when.disengaged)))
        if when.ran_before is not None:
            yield _either(RanBefore(), when.ran_before)
        if when.overdue is not None:
            yield _either(TaskOverdue(), when.overdue)

    # --- names and values ------------------------------------------------------------------------

    def _codes(self, given: tuple[str, ...] | str, allowed: frozenset[str], what: str) -> frozenset[str]:
        codes = frozenset(_several(given))
        unknown = sorted(codes - allowed)
        if unknown:
            raise self._wrong(f"{unknown[0]!r} is no {what}; use one of {', '.join(sorted(allowed))}")
        return codes

    def _step(self, step: str) -> str:
        if step not in self.seen:
            raise self._wrong(f"refers to the step {step!r}, which does not stand before it")
        return step

    def _pathway(self, pathway: str) -> str:
        if pathway not in self.pathways:
            raise self._wrong(f"refers to the pathway {pathway!r}, which does not stand before it")
        return pathway

    def _value(self, text: str) -> str:
        if not text.startswith("$"):
            return text
        value = self.settings.get(text[1:])
        if value is None:
            raise self._wrong(f"{text} names no setting of the pack; add it under 'settings'")
        return str(value)

    def _number(self, value: int | str) -> int:
        resolved = self._value(value) if isinstance(value, str) else str(value)
        if not resolved.isdecimal():
            raise self._wrong(f"{value!r} has to be a whole number")
        return int(resolved)

    def _check_text(self, text: str) -> None:
        names = {name for _, name, _, _ in Formatter().parse(text) if name is not None}
        unknown = sorted(names - set(self.settings) - BUILT_IN)
        if unknown:
            raise self._wrong(
                f"the text uses {{{unknown[0]}}}, which is neither a setting nor one of {sorted(BUILT_IN)}"
            )

    def _wrong(self, message: str) -> ConfigurationError:
        return ConfigurationError(message, place=self.place)


def _several(given: tuple[str, ...] | str) -> tuple[str, ...]:
    if isinstance(given, str):
        return (given,) if given else ()
    return given


def _either(condition: Condition, wanted: bool) -> Condition:
    return condition if wanted else Not(condition)


def _mentions_contact(when: authoring.When) -> bool:
    nested = (*when.all, *when.any)
    return when.contact is not None or any(_mentions_contact(part) for part in nested)
