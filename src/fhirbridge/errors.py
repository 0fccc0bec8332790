"""One tree of errors, by whose fault it is.

Whoever catches an error wants to know two things: who has to act, and whether trying again can help. The first is the
branch of the tree; the second is `transient`. Every message says what is wrong, where, and what to do about it.
"""

from __future__ import annotations


class FhirbridgeError(Exception):
    """Root of every error that fhirbridge raises on purpose."""

    transient = False
    """Whether the same call may succeed later without anybody changing anything."""


class SenderError(FhirbridgeError):
    """What somebody sent or passed in is wrong: bad JSON, a missing element, an impossible date.

    `place` names where (an element, `file:line`), `issue` is the FHIR IssueType code for an OperationOutcome.
    """

    def __init__(self, message: str, *, place: str = "", issue: str = "invalid") -> None:
        super().__init__(f"{place}: {message}" if place else message)
        self.message = message
        self.place = place
        self.issue = issue


class TooLarge(SenderError):
    """The body is larger, or nested deeper, than the service reads."""


class NotKnown(SenderError):
    """The EPR, pack or mapping that was named does not exist here."""


class NotAllowed(SenderError):
    """The secret is missing or wrong."""


class EprError(FhirbridgeError):
    """The EPR answered something that the service cannot work with.

    `reason` is the part of the message that the EPR said: it can hold a patient's data, so no log may have it.
    """

    reason = ""


class EprUnavailable(EprError):
    """The EPR did not answer, or asked to be left alone for now (429, 5xx).

    `retry_after` is the EPR's own wish in seconds, if it said one.
    """

    transient = True

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class EprUnauthorised(EprUnavailable):
    """The EPR does not accept who the service says it is (401, or no token to be had).

    It counts as unavailable: a key or token that was rotated must not turn everything that waits into dead letters.
    """


class EprBehind(EprUnavailable):
    """The EPR answers with less than it has told of: a replica that lags. What it told of is to be asked for again."""


class EprConflict(EprError):
    """Somebody changed the resource since it was read (409, 412): read again and decide again.

    `outcome` and `status` as for `EprRefused`: some EPRs answer 409 to what they will never take.
    """

    transient = True

    def __init__(self, message: str, *, outcome: dict[str, object] | None = None, status: int = 0) -> None:
        super().__init__(message)
        self.outcome = outcome
        self.status = status


class EprRefused(EprError):
    """The EPR rejected a request for good (400, 403, 422).

    `outcome` is its OperationOutcome, if it sent one; `status` that of HTTP, 0 if it was not over HTTP.
    """

    def __init__(self, message: str, *, outcome: dict[str, object] | None = None, status: int = 0) -> None:
        super().__init__(message)
        self.outcome = outcome
        self.status = status


class ChannelError(FhirbridgeError):
    """What was to be sent has not reached the channel."""


class ChannelUnavailable(ChannelError):
    """The channel or the receiver cannot be reached now; `retry_after` is its own wish in seconds, if it said one."""

    transient = True

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ChannelRefused(ChannelError):
    """The channel or the receiver refuses this message for good: no such mailbox, no address, not acceptable."""


class ConfigurationError(FhirbridgeError):
    """A pack, mapping, directory or setting is wrong; `place` is `file:line` or the setting's name."""

    def __init__(self, message: str, *, place: str = "") -> None:
        super().__init__(f"{place}: {message}" if place else message)
        self.message = message
        self.place = place


class StoreError(FhirbridgeError):
    """The store cannot do now what was asked; nothing of it was done."""

    transient = True


class StoreUnavailable(StoreError):
    """The database is away, busy or full."""


class Overtaken(StoreError):
    """Another worker took the subject since it was loaded: load it and decide again."""


class Defect(FhirbridgeError):
    """An invariant of fhirbridge itself does not hold: please report it."""
