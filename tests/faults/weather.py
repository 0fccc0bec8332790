"""What may go wrong in a run, and when: only while the weather is foul, and only the kinds that the seed has chosen.

Each seed has some of the kinds and not others, so that one fault does not always hide behind another. In one of four
the EPR offers no transactions.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from tests.faults.dice import Dice
from tests.faults.feeding import Feed


class Fault(StrEnum):
    """The kinds of fault."""

    DROPPED = "notifications are lost"
    DOUBLED = "notifications come more than once"
    DELAYED = "notifications come late, and in another order"
    TRUNCATED = "notifications are cut off"
    RENUMBERED = "event numbers jump, and begin again"
    OUTDATED = "notifications carry an earlier version"
    STALE = "a replica that lags answers reads and searches"
    DRIFTING = "a search repeats what moves between its pages"
    EXPIRED = "the token is not taken any more"
    BUSY = "429 and 503, with and without Retry-After"
    NOT_COMMITTED = "a transaction dies before it commits"
    ANSWER_LOST = "a transaction commits, and its answer is lost"
    CONFLICT = "somebody touches what is just being changed"
    RULE = "a rule in the EPR touches whatever is written there"
    FORGETFUL_RULE = "that rule takes off tags and identifiers as well"
    CRASH = "the service is killed"
    CUT = "the line is cut in both directions"
    ENDED = "a subscription is given up, turned off, deleted or led elsewhere"
    IDLE = "a subscription is not activated at once"


ALL = frozenset(Fault)


class Weather:
    """Foul or fair, with the kinds of fault that there are in this run."""

    def __init__(self, dice: Dice, kinds: frozenset[Fault]) -> None:
        self.dice = dice
        self.feed = Feed.of_seed(dice.seed)
        self.singly = dice.seed % 4 == 1
        spared = {Fault.DROPPED} if self.feed is Feed.RELIED_ON else set()
        if self.feed is Feed.RELIED_ON and Fault.STALE in kinds:
            # Told of an earlier version and shown that same version, nobody could know of the later one.
            spared |= {Fault.OUTDATED}
        # Written without its Provenance in the same transaction, a thing is known by its identifier alone.
        spared |= {Fault.FORGETFUL_RULE} if self.singly else set()
        spared |= set() if self.feed.subscribes else {Fault.ENDED, Fault.IDLE}
        if self.feed.watched and dice.seed % 4 >= 2:
            # Where a replica lags or numbers jump, it cannot be told from one moment to the next what goes unnoticed.
            spared |= {Fault.STALE, Fault.RENUMBERED}
            if self.feed is Feed.TOPICS:
                # Each start reads what numbers alone can show to be missing otherwise.
                spared |= {Fault.CRASH}
        self.kinds = kinds - spared
        self.foul = False
        self.away_until: datetime | None = None
        self.cut_until: datetime | None = None
        self.struck: dict[Fault, int] = dict.fromkeys(self.kinds, 0)

    @classmethod
    def of_seed(cls, seed: int) -> Weather:
        """About half of the kinds, whichever the seed has; where events are numbered, some are always lost."""
        dice = Dice(seed)
        always = {Fault.DROPPED} if Feed.of_seed(seed) is Feed.TOPICS else set()
        return cls(dice, frozenset(kind for kind in Fault if kind in always or dice.falls(f"kind {kind}", 0.55)))

    @classmethod
    def fair(cls, seed: int) -> Weather:
        """Nothing ever goes wrong."""
        return cls(Dice(seed), frozenset())

    def strikes(self, kind: Fault, name: str, chance: float) -> bool:
        """Whether this fault happens now, to whatever has this name."""
        if not self.foul or kind not in self.kinds or not self.dice.falls(f"{kind} {name}", chance):
            return False
        self.struck[kind] += 1
        return True

    def clears(self) -> None:
        """From now on nothing goes wrong any more."""
        self.foul = False
        self.away_until = None
        self.cut_until = None

    def goes_away(self, now: datetime, name: str) -> None:
        """The EPR answers nobody for a while."""
        self.away_until = now + timedelta(minutes=self.dice.whole(f"away {name}", 5, 90))

    def may_be_cut(self, now: datetime, chance: float) -> None:
        """The line may be cut now, for some hours."""
        if self.strikes(Fault.CUT, "line", chance):
            self.cut_until = now + timedelta(minutes=self.dice.whole("cut", 20, 300))

    def is_cut(self, now: datetime) -> bool:
        """Whether nothing comes through, in either direction."""
        return self.cut_until is not None and now < self.cut_until
