"""The safeguarding register: who is or lately was confined, and how they are watched over.

It shows the confinements with their length, the visits by an advocate in the last 28 days, the reviews that are overdue
and the restrictions of contact (clause "Safeguarding register"). Which of them are followed, and which reviews there
are, the pack says: the signals that its pathways last for, and the steps of these that come again and again. What the
record cannot tell is named with the person, or for all: silence is never shown as if it were an answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from msgspec import Struct

from fhirbridge.core.attribution import happened_at
from fhirbridge.core.calendar import Calendar
from fhirbridge.core.facts import Episode, Fact, Referral, Signal, Unmapped
from fhirbridge.core.findings import earliest
from fhirbridge.core.policy import Pack, Pathway
from fhirbridge.core.signals import SignalSpan
from fhirbridge.core.timeline import Record
from fhirbridge.core.vocabulary import ANSWERED, NOT_DONE
from fhirbridge.errors import SenderError
from fhirbridge.fhir.terminology import SIGNALS
from fhirbridge.reporting.duties import Duty, State, duties
from fhirbridge.reporting.seen import Seen

VISITS_WITHIN = timedelta(days=28)
"""How far back visits by an advocate, and periods that have ended, are shown: so many local days."""

_SIGNALS = ("confinement", "contact-restricted", "single-person-setting")

_UNSAID = (
    "Periods that nobody recorded as a signal are not seen.",
    "Why and where a person is confined, and under which conditions, is not read from the record.",
    "With whom contact is restricted, and how far, is not read from the record.",
    "A visit counts where an Encounter names an advocate among its participants, or where the task to arrange a visit "
    "was completed; a visit recorded in any other way is not seen.",
)


class Period(Struct, frozen=True, kw_only=True):
    """One period of one signal. `ended` is None while it goes on; `length` runs to its end or to the instant reported.

    `source` is the resource version that says so.
    """

    signal: str
    since: datetime
    ended: datetime | None
    length: timedelta
    source: str
    unsaid: tuple[str, ...] = ()


class Visit(Struct, frozen=True, order=True):
    """A visit by an advocate, and the resource version that says so."""

    at: datetime
    source: str


class Overdue(Struct, frozen=True, kw_only=True):
    """A review that has not been done since it was due: since when, and how many of its dates have passed."""

    row: str
    clause: str
    title: str
    role: str
    due: datetime
    missed: int


class Person(Struct, frozen=True, kw_only=True):
    """One person in the register; `consent` is the outcome of asking them whether they agree to be named in it."""

    epr: str
    patient: str
    periods: tuple[Period, ...]
    visits: tuple[Visit, ...]
    overdue: tuple[Overdue, ...]
    consent: str | None
    unsaid: tuple[str, ...]


class Register(Struct, frozen=True, kw_only=True):
    """The register under one pack, as known at `until`; visits and ended periods are shown from `since` on."""

    pack: str
    version: str
    title: str
    until: datetime
    since: datetime
    signals: tuple[str, ...]
    people: tuple[Person, ...]
    unsaid: tuple[str, ...]


def register(pack: Pack, people: Iterable[Person], until: datetime, unsaid: tuple[str, ...] = ()) -> Register:
    """The people, by EPR and reference; `unsaid` is what else could not be told, for all of them.

    Raises:
        SenderError: the pack follows neither confinements nor restrictions of contact.
    """
    signals = _signals(pack)
    if not signals:
        raise SenderError(
            f"{pack.name} does not follow confinements; name a pack that does, such as solitary-confinement",
            place="--pack",
        )
    return Register(
        pack=pack.name,
        version=pack.version,
        title=pack.title,
        until=until,
        since=_window(until, pack.calendar),
        signals=signals,
        people=tuple(sorted(people, key=lambda person: (person.epr, person.patient))),
        unsaid=(*_UNSAID, *unsaid),
    )


def registered(pack: Pack, seen: Seen, until: datetime) -> Person | None:
    """What the register has to say about one person; None for who has no period since the register's beginning."""
    record = Record.of(seen.facts)
    since = _window(until, pack.calendar)
    periods = tuple(sorted(_periods(record, _signals(pack), since, until), key=lambda p: (p.since, p.signal, p.source)))
    if not periods:
        return None
    unsaid: list[str] = []
    consent = _consent(record, unsaid)
    overdue = tuple(_overdue(pack, periods, duties(pack, seen.facts, seen.effects, until), unsaid))
    visits = tuple(sorted(_visits(record, since, until, unsaid)))
    if not visits:
        on = pack.calendar.on_date(since)
        unsaid.append(f"No visit by an advocate since {on} is on record: whether none took place is not known.")
    for signal in _signals(pack):
        if all(period.signal != signal for period in periods):
            unsaid.append(f"Nothing is on record about this: {SIGNALS[signal]}. Whether it is so is not known.")
    if record.person is None:
        unsaid.append("The Patient has not been read: whether the person is alive is not known.")
    unread = [name for name, history in record.sources.items() if isinstance(history.latest, Unmapped)]
    if unread:
        unsaid.append(f"What these say could not be read: {', '.join(unread)}.")
    return Person(
        epr=seen.epr,
        patient=record.patient,
        periods=periods,
        visits=visits,
        overdue=overdue,
        consent=consent,
        unsaid=tuple(unsaid),
    )


def _lasting(pack: Pack) -> tuple[Pathway, ...]:
    return tuple(each for each in pack.pathways if each.once_per == "signal" and each.signals.intersection(_SIGNALS))


def _signals(pack: Pack) -> tuple[str, ...]:
    return tuple(code for code in _SIGNALS if any(code in pathway.signals for pathway in _lasting(pack)))


def _window(until: datetime, calendar: Calendar) -> datetime:
    return calendar.instant(calendar.local(until).replace(tzinfo=None) - VISITS_WITHIN)


def _periods(record: Record, signals: tuple[str, ...], since: datetime, until: datetime) -> Iterator[Period]:
    person = record.person
    died = (person.deceased_at or person.known) if person is not None and person.deceased else None
    for span in record.signals:
        if span.code not in signals or span.began > until:
            continue
        ended = earliest(at for at in (span.end, died) if at is not None and at <= until)
        if ended is None or ended > since:
            yield Period(
                signal=span.code,
                since=span.began,
                ended=ended,
                length=max((ended or until) - span.began, timedelta()),
                source=span.source.versioned,
                unsaid=tuple(_unsaid_of(span, record, ended, died)),
            )


def _unsaid_of(span: SignalSpan, record: Record, ended: datetime | None, died: datetime | None) -> Iterator[str]:
    start, end = _recorded(span, record)
    if start is None:
        yield "When it began is not recorded; it counts from when it became known."
    if ended is not None and ended < span.began:
        yield "The record has it end before it began; how long it lasted is not known."
    if ended is not None and ended == died and (span.end is None or span.end > died):
        yield "The record does not say that it ended; it counts until the person's death."
    elif ended is not None and end is None:
        yield "When it ended is not recorded; it counts until its end became known."
    if ended is None and span.source.type == "ServiceRequest":
        yield "A referral says so, and does not tell whether it has ended since."


def _recorded(span: SignalSpan, record: Record) -> tuple[datetime | None, datetime | None]:
    """The start and the end that the version itself gives."""
    versions: tuple[Fact, ...] = record.sources[span.source.reference].versions
    match next((fact for fact in versions if fact.source == span.source), None):
        case Signal(start=start, end=end) | Episode(start=start, end=end):
            return start, end
        case Referral(authored=authored):
            return authored, None
        case _:
            return None, None


def _visits(record: Record, since: datetime, until: datetime, unsaid: list[str]) -> Iterator[Visit]:
    """As the pack counts them when it asks for a visit."""
    for encounter in (history.latest for history in record.encounters):
        if "advocate" in encounter.participants and encounter.status in ("in-progress", "finished"):
            at = encounter.start or encounter.known
            if since < at <= until:
                if encounter.start is None:
                    unsaid.append(f"When the advocate's visit {encounter.source.reference} took place is not recorded.")
                yield Visit(at, encounter.source.versioned)
    for task in record.tasks:
        fact = task.latest
        done = fact.status == "completed" and fact.outcome not in NOT_DONE
        if "arrange-advocate-visit" in fact.actions and done and since < happened_at(task) <= until:
            yield Visit(happened_at(task), fact.source.versioned)


def _overdue(pack: Pack, periods: tuple[Period, ...], found: tuple[Duty, ...], unsaid: list[str]) -> Iterator[Overdue]:
    """Reviews of what still goes on whose date has passed, and that have not been done since."""
    for pathway in _lasting(pack):
        since = earliest(each.since for each in periods if each.signal in pathway.signals and each.ended is None)
        for step in pathway.steps if since is not None else ():
            if step.every is None or since is None:
                continue
            mine = [duty for duty in found if duty.row == step.row and duty.due > since]
            if not mine:
                unsaid.append(f"The service has asked for no “{step.title}”: whether one is overdue is not known.")
            last = max((duty.done for duty in mine if duty.done is not None), default=since)
            missed = [duty for duty in mine if duty.state is State.NOT_DONE and duty.due > last]
            if missed:
                yield Overdue(
                    row=step.row,
                    clause=step.clause,
                    title=step.title,
                    role=missed[0].role,
                    due=missed[0].due,
                    missed=len(missed),
                )


def _consent(record: Record, unsaid: list[str]) -> str | None:
    """What the person answered last when asked whether they agree to be named."""
    asked = [task for task in record.tasks if "seek-register-consent" in task.latest.actions]
    answered = [task for task in asked if task.latest.status in ANSWERED]
    outcome = max(answered, key=happened_at).latest.outcome if answered else None
    if outcome is None:
        unsaid.append("Whether the person agrees to be named in the register is not on record.")
    return outcome
