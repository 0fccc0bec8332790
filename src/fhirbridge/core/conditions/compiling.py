"""A condition as written → a condition to ask.

Names are checked while compiling: settings and codes must exist, steps and pathways must stand before what refers to
them, so that a pack can be worked through in its own order.
"""

from __future__ import annotations

from collections.abc import Iterable

from fhirbridge.core import authored_conditions
from fhirbridge.core.calendar import Span, span
from fhirbridge.core.conditions.attendance import Booked, FirstBooked, InReceipt, Missed
from fhirbridge.core.conditions.circumstances import (
    EpisodeIs,
    PlanOnRecord,
    ReferralIs,
    SettingIs,
    SignalHolds,
    SignalWhenMissed,
)
from fhirbridge.core.conditions.correspondence import CheckInsUnanswered, MessageFromGp, MessageUnanswered, NoReply
from fhirbridge.core.conditions.endings import (
    Always,
    Discharged,
    DischargePlanned,
    Done,
    MissedAtEnd,
    OtherProvider,
    Said,
    SharingPermitted,
    SignalEver,
    UnderAge,
    Unvisited,
)
from fhirbridge.core.conditions.lapses import (
    AttendanceBelow,
    BookedAhead,
    CalledOff,
    Idle,
    LapsedUnbooked,
    LapsesInRow,
    MissedAfterDone,
    MissedOfLast,
)
from fhirbridge.core.conditions.logic import All, AnyOf, Not
from fhirbridge.core.conditions.people import ChildInvolved, FamilyOnRecord, MayShare
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
from fhirbridge.core.conditions.risk import RiskIs, RiskSettled, RiskWhenMissed
from fhirbridge.core.policy import Condition
from fhirbridge.core.vocabulary import OUTCOMES, PRIORITIES, RISK_SIGNALS, SETTINGS, SIGNALS
from fhirbridge.errors import ConfigurationError

SettingValue = str | int
EPISODE_STATES = frozenset({"planned", "waitlist", "active", "onhold", "finished", "cancelled"})
RISK_STATES = frozenset({"identified", "none", "unknown", "contradictory"})


class ConditionCompiler:
    """Compiles the conditions of one pack; knows its settings, and the steps and pathways met so far."""

    def __init__(self, pack: str, settings: dict[str, SettingValue]) -> None:
        self.settings = settings
        self.steps: set[str] = set()
        self.pathways: dict[str, str] = {}
        self.place = pack

    def condition(self, when: authored_conditions.When) -> Condition:
        """The condition, ready to be asked."""
        parts = tuple(self._parts(when))
        if not parts:
            raise self.wrong("a condition is empty; say what must hold, or write 'when: start'")
        return parts[0] if len(parts) == 1 else All(parts)

    def start(self, starts: authored_conditions.When | str) -> Condition:
        """What starts a pathway; `always` where its anchor is reason enough."""
        return Always() if isinstance(starts, str) else self.condition(starts)

    def _parts(self, when: authored_conditions.When) -> Iterable[Condition]:
        yield from self._about_patient(when)
        yield from self._about_progress(when)
        yield from self._about_attendance(when)
        yield from self._about_endings(when)
        if when.all:
            yield All(tuple(self.condition(part) for part in when.all))
        if when.any:
            yield AnyOf(tuple(self.condition(part) for part in when.any))
        if when.not_ is not None:
            yield Not(self.condition(when.not_))

    def _about_patient(self, when: authored_conditions.When) -> Iterable[Condition]:
        if when.missed is not None:
            yield Missed(self.number(when.missed.consecutive))
        if when.in_receipt is not None:
            yield _either(InReceipt(), when.in_receipt)
        if when.referral:
            yield ReferralIs(self.codes(when.referral, frozenset(PRIORITIES), "request priority"))
        yield from self._about_risk(when)
        if when.child is not None:
            yield _either(ChildInvolved(), when.child)
        if when.on_record is not None:
            yield FamilyOnRecord() if when.on_record == "family" else PlanOnRecord(when.on_record)
        if when.may_share_with is not None:
            yield MayShare(when.may_share_with)
        if when.setting is not None:
            (setting,) = self.codes(when.setting, SETTINGS, "setting")
            yield SettingIs(setting)
        if when.episode:
            yield EpisodeIs(self.codes(when.episode, EPISODE_STATES, "episode status"))

    def _about_risk(self, when: authored_conditions.When) -> Iterable[Condition]:
        if when.risk:
            yield RiskIs(self.codes(when.risk, RISK_STATES, "risk"))
        if when.risk_when_missed:
            yield RiskWhenMissed(self.codes(when.risk_when_missed, RISK_STATES, "risk"))
        if when.risk_settled is not None:
            yield _either(RiskSettled(), when.risk_settled)
        if when.signal:
            yield SignalHolds(self.codes(when.signal, SIGNALS, "signal"))
        if when.signal_when_missed:
            yield SignalWhenMissed(self.codes(when.signal_when_missed, SIGNALS, "signal"))

    def _about_progress(self, when: authored_conditions.When) -> Iterable[Condition]:
        if when.outcome is not None:
            wanted = self.codes(when.outcome.is_, OUTCOMES | PROGRESS_WORDS, "outcome")
            of = tuple(self._step(step) for step in several(when.outcome.of))
            yield OutcomeIs(of, wanted, when.outcome.action)
        if when.reached:
            yield Reached(tuple(self._step(step) for step in several(when.reached)))
        if when.sent is not None:
            yield SentAgo(self._step(when.sent.of), self.span(when.sent.ago))
        if when.passed is not None:
            since = self._step(when.passed.of) if when.passed.of else None
            yield TimePassed(self.span(when.passed.time), since)
        if when.contact is not None:
            without = self.codes(when.contact.without, OUTCOMES, "outcome")
            outcome = self.codes(when.contact.outcome or (), OUTCOMES, "outcome")
            yield ContactMade(when.contact.or_attended, without, next(iter(outcome), None))
        if when.booked is not None:
            yield _either(Booked(), when.booked)
        if when.first_booked is not None:
            yield _either(FirstBooked(), when.first_booked)
        yield from self._about_runs(when)

    def _about_runs(self, when: authored_conditions.When) -> Iterable[Condition]:
        if when.running:
            named = tuple(self._pathway(p) for p in several(when.running))
            yield Running(named, tuple(self.pathways[p] for p in named))
        if when.disengaged:
            yield Disengaged(tuple(self._pathway(p) for p in several(when.disengaged)))
        if when.ran_before is not None:
            yield _either(RanBefore(), when.ran_before)
        if when.overdue is not None:
            yield _either(TaskOverdue(), when.overdue)

    def _about_attendance(self, when: authored_conditions.When) -> Iterable[Condition]:
        if when.lapsed is not None:
            yield LapsesInRow(self.number(when.lapsed))
        if when.lapsed_unbooked is not None:
            yield _either(LapsedUnbooked(), when.lapsed_unbooked)
        if when.called_off is not None:
            yield _either(CalledOff(), when.called_off)
        if when.booked_ahead is not None:
            yield _either(BookedAhead(), when.booked_ahead)
        if when.missed_of_last is not None:
            yield MissedOfLast(self.number(when.missed_of_last.count), self.number(when.missed_of_last.of))
        if when.attendance is not None:
            rate = when.attendance
            yield AttendanceBelow(self.number(rate.below), self.number(rate.of), self.number(rate.least))
        if when.idle is not None:
            yield Idle(self.span(when.idle.time), when.idle.or_done)
        if when.missed_after is not None:
            yield MissedAfterDone(when.missed_after)
        if when.no_reply is not None:
            yield NoReply(self.span(when.no_reply))
        if when.message_unanswered is not None:
            yield MessageUnanswered(self.span(when.message_unanswered))
        if when.check_ins is not None:
            sent = when.check_ins
            yield CheckInsUnanswered(self.number(sent.count), self.span(sent.spaced), self.span(sent.time))
        if when.message_from is not None:
            yield MessageFromGp()

    def _about_endings(self, when: authored_conditions.When) -> Iterable[Condition]:
        for given, condition in (
            (when.discharge_planned, DischargePlanned()),
            (when.discharged, Discharged()),
            (when.missed_at_end, MissedAtEnd()),
            (when.other_provider, OtherProvider()),
            (when.risk_ever, SignalEver(RISK_SIGNALS)),
            (when.under_age, UnderAge()),
        ):
            if given is not None:
                yield _either(condition, given)
        if when.said:
            yield Said(self.codes(when.said, OUTCOMES, "outcome"), before=False)
        if when.said_before:
            yield Said(self.codes(when.said_before, OUTCOMES, "outcome"), before=True)
        if when.done is not None:
            yield Done(when.done)
        if when.permits_sharing_with is not None:
            yield SharingPermitted(when.permits_sharing_with)
        if when.signal_ever:
            yield SignalEver(self.codes(when.signal_ever, SIGNALS, "signal"))
        if when.unvisited is not None:
            yield Unvisited(self.span(when.unvisited))

    # --- names and values ------------------------------------------------------------------------

    def codes(self, given: tuple[str, ...] | str, allowed: frozenset[str], what: str) -> frozenset[str]:
        """The codes, checked to be among those allowed."""
        codes = frozenset(several(given))
        unknown = sorted(codes - allowed)
        if unknown:
            raise self.wrong(f"{unknown[0]!r} is no {what}; use one of {', '.join(sorted(allowed))}")
        return codes

    def _step(self, step: str) -> str:
        if step not in self.steps:
            raise self.wrong(f"refers to the step {step!r}, which does not stand before it")
        return step

    def _pathway(self, pathway: str) -> str:
        if pathway not in self.pathways:
            raise self.wrong(f"refers to the pathway {pathway!r}, which does not stand before it")
        return pathway

    def value(self, text: str) -> str:
        """The text itself, or the setting that `$name` stands for."""
        if not text.startswith("$"):
            return text
        value = self.settings.get(text[1:])
        if value is None:
            raise self.wrong(f"{text} names no setting of the pack; add it under 'settings'")
        return str(value)

    def span(self, text: str) -> Span:
        """The period, or the setting that `$name` stands for."""
        try:
            return span(self.value(text))
        except ConfigurationError as error:
            raise self.wrong(str(error)) from error

    def number(self, value: int | str) -> int:
        """The number, or the setting that `$name` stands for."""
        resolved = self.value(value) if isinstance(value, str) else str(value)
        if not resolved.isdecimal():
            raise self.wrong(f"{value!r} has to be a whole number")
        return int(resolved)

    def wrong(self, message: str) -> ConfigurationError:
        """The error to raise here, naming the place."""
        return ConfigurationError(message, place=self.place)


def several(given: tuple[str, ...] | str) -> tuple[str, ...]:
    """One name or several, as several."""
    if isinstance(given, str):
        return (given,) if given else ()
    return given


def _either(condition: Condition, wanted: bool) -> Condition:
    return condition if wanted else Not(condition)


def mentions_contact(when: authored_conditions.When) -> bool:
    """Whether the condition is about how the run ended, so that the ending itself calls for the step."""
    nested = (*when.all, *when.any)
    return when.contact is not None or any(mentions_contact(part) for part in nested)
