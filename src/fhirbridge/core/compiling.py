"""A pack as written → a pack to decide with.

Everything that can be wrong in a pack is found here, before the first patient: unknown settings, periods that are none,
steps that are referred to but do not exist or come later, acts without a code. Errors name the step and the remedy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from string import Formatter

from fhirbridge.core import authored_conditions, authoring, policy
from fhirbridge.core.calendar import Calendar, Elapsed, LocalPeriod, WorkingDays, span
from fhirbridge.core.conditions.compiling import ConditionCompiler, SettingValue, mentions_contact, several
from fhirbridge.core.effects import Kind
from fhirbridge.core.summary import SUMMARIES
from fhirbridge.core.vocabulary import OUTCOMES, SIGNALS
from fhirbridge.errors import ConfigurationError

BUILT_IN = frozenset({"missed", "due", "since", *SUMMARIES})
"""Names a description may use besides the pack's settings."""


def compile_pack(
    written: authoring.PackFile,
    *,
    calendar: Calendar,
    overrides: Mapping[str, SettingValue] | None = None,
    risk_when_unrecorded: str = "unknown",
) -> policy.Pack:
    """Check the pack and make it ready; ConfigurationError names the step and what to write instead."""
    given = overrides or {}
    texts = {name: str(given.get(name, text)) for name, text in written.texts.items()}
    settings = _settings(written, {name: value for name, value in given.items() if name not in texts})
    compiler = _Compiler(written, settings)
    return policy.Pack(
        name=written.pack,
        version=written.version,
        title=written.title,
        source=written.source,
        settings=settings,
        texts=texts,
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
        try:
            within = _within(setting.min, value, setting.max)
        except ConfigurationError as error:
            raise ConfigurationError(f"{name}: {error}", place=written.pack) from error
        if not within:
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
        self.texts = set(written.texts)
        self.conditions = ConditionCompiler(written.pack, settings)

    def pathway(self, written: authoring.Pathway) -> policy.Pathway:
        self.conditions.place = f"{self.pack} · {written.id}"
        if written.id in self.conditions.pathways:
            raise self.conditions.wrong(f"two pathways have the id {written.id!r}; rename one")
        starts = self.conditions.start(written.starts)
        self.conditions.pathways[written.id] = written.title
        steps = tuple(self.step(step, written) for step in written.steps)
        return policy.Pathway(
            id=written.id,
            title=written.title,
            clause=written.clause or "",
            starts=starts,
            steps=steps,
            once_per=written.once_per,
            signals=self.conditions.codes(written.signals, SIGNALS, "signal"),
            outcomes=self.conditions.codes(written.outcomes, OUTCOMES, "outcome"),
            group=written.group,
            ends=self.conditions.condition(written.ends) if written.ends else None,
            needs=_needs(written.starts),
            one_case=written.one_case,
        )

    def step(self, written: authoring.Step, pathway: authoring.Pathway) -> policy.Step:
        self.conditions.place = f"{self.pack} · {pathway.id} · {written.id}"
        if written.id in self.conditions.steps:
            raise self.conditions.wrong(
                f"two steps have the id {written.id!r}; add a suffix such as -x and name the row"
            )
        if not written.do:
            raise self.conditions.wrong("'do' is empty; say what is to be written")
        when = None if isinstance(written.when, str) else self.conditions.condition(written.when)
        order = len(self.conditions.steps)
        self.conditions.steps.add(written.id)
        return policy.Step(
            id=written.id,
            row=written.row or written.id,
            clause=written.clause or pathway.clause or "",
            title=written.title,
            when=when,
            until=self.conditions.condition(written.until) if written.until else None,
            acts=tuple(act for item in written.do for act in self.acts(item)),
            stands=_stands(written.stands),
            closing=not isinstance(written.when, str) and mentions_contact(written.when),
            order=order,
            every=self.every(written.every) if written.every else None,
            repeat=self.repeat(written.repeat) if written.repeat else None,
            again=written.again,
            anew=written.anew,
            towards=written.towards,
        )

    def every(self, written: authoring.Every) -> policy.Every:
        last = self.conditions.number(written.last) if written.last is not None else None
        return policy.Every(self.conditions.span(written.period), written.first, last)

    def repeat(self, written: authoring.Repeat) -> policy.Repeat:
        on = self.conditions.codes(written.after_outcome, OUTCOMES, "outcome")
        times = self.conditions.number(written.times)
        return policy.Repeat(times, self.conditions.span(written.after), on)

    def acts(self, written: authoring.Act) -> Iterable[policy.Act]:
        codes = {
            Kind.TASK: written.task,
            Kind.COMMUNICATION: written.communication,
            Kind.FLAG: written.flag,
            Kind.CARE_PLAN: written.care_plan,
        }
        named = [(kind, code) for kind, code in codes.items() if code]
        if len(named) != 1:
            raise self.conditions.wrong("an entry of 'do' needs exactly one of task, communication, flag, care-plan")
        kind, action = named[0]
        roles = several(written.to)
        if bool(roles) != (kind in (Kind.TASK, Kind.COMMUNICATION)):
            raise self.conditions.wrong(f"{action}: a task or communication needs 'to', a flag or care-plan has none")
        due = self.conditions.value(written.due) if written.due else None
        if (due is not None) != (kind is Kind.TASK):
            raise self.conditions.wrong(f"{action}: a task needs 'due', nothing else has one")
        if due is not None:
            self.conditions.span(due)
        self._check_hours(written)
        self._check_text(written.says)
        for role in roles or ("",):
            yield policy.Act(
                kind=kind,
                action=action,
                role=role,
                due=self.conditions.span(due) if due else None,
                due_from_start=written.due_from == "start",
                due_by=written.due_by,
                role_out_of_hours=written.out_of_hours,
                priority=written.priority,
                medium=written.medium,
                reply_within=self.conditions.value(written.reply_within) if written.reply_within else None,
                says=written.says,
                points=tuple(written.points.items()),
                answered_by_message=written.answered_by == "message",
                ends=written.ends,
            )

    def _check_hours(self, written: authoring.Act) -> None:
        if written.out_of_hours and not {"opens", "closes"} <= set(self.conditions.settings):
            raise self.conditions.wrong(
                "'out-of-hours' needs the settings 'opens' and 'closes', the hours the service is staffed; add both"
            )

    def _check_text(self, text: str) -> None:
        try:
            names = {name for _, name, _, _ in Formatter().parse(text) if name is not None}
        except ValueError as error:
            raise self.conditions.wrong(f"the text has a brace too many or too few ({error})") from error
        unknown = sorted(names - set(self.conditions.settings) - self.texts - BUILT_IN)
        if unknown:
            raise self.conditions.wrong(
                f"the text uses {{{unknown[0]}}}, which is neither a setting nor one of {sorted(BUILT_IN)}"
            )


def _needs(starts: authored_conditions.When | str) -> str | None:
    if isinstance(starts, str):
        return None
    if starts.missed is not None or starts.risk_when_missed or starts.signal_when_missed:
        return "miss"
    return "run" if starts.running else None


def _stands(written: tuple[str, ...] | bool) -> frozenset[str]:
    if isinstance(written, bool):
        return frozenset({"return", "discharge", "end"}) if written else frozenset()
    return frozenset(written)
