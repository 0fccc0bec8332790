"""What a FHIR receiver says of a message: an acknowledgement, or an answer in words.

Either comes as a message Bundle: a MessageHeader whose `response.identifier` is the id of the message it is about, with
`ok`, `fatal-error` or `transient-error`, and an OperationOutcome that says why; or a MessageHeader whose focus is a
Communication that is `inResponseTo` ours. A code of ITK3 in the OperationOutcome's details tells more than the three
words of R4. FHIR R4: https://hl7.org/fhir/R4/messaging.html, messageheader.html.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from fhirbridge.core.deliveries import Report, report_of_code
from fhirbridge.errors import SenderError
from fhirbridge.fhir.instants import flaw_in_instant
from fhirbridge.fhir.linking import identity_of
from fhirbridge.fhir.message import DISPATCH
from fhirbridge.fhir.r4 import Resource, objects

LONGEST = 2000
"""Characters of an answer's words that are kept."""

_RESPONSES = {
    "ok": Report.INFRASTRUCTURE_GOOD,
    "fatal-error": Report.INFRASTRUCTURE_BAD,
    "transient-error": Report.INFRASTRUCTURE_BAD,
}
_NOT_KNOWN_HERE = frozenset({"not-found", "deleted"})
"""IssueTypes with which a receiver says that the patient is not theirs."""


class Heard(Struct, frozen=True, kw_only=True):
    """One thing that was said of the message `about` (a dispatch's key); `happened` is None where they do not say."""

    about: str
    report: Report
    code: str = ""
    says: str = ""
    happened: datetime | None = None


def heard(bundle: Resource) -> Heard:
    """What a message Bundle says.

    Raises:
        SenderError: it is no such message; with the element that is wrong.
    """
    if bundle.get("resourceType") != "Bundle" or bundle.get("type") != "message":
        raise SenderError("is no message; send a Bundle of type message", place="Bundle.type", issue="value")
    entries = bundle.get("entry")
    resources = [each["resource"] for each in objects(entries) if isinstance(each.get("resource"), dict)]
    if not isinstance(entries, list) or len(resources) != len(entries) or not resources:
        raise SenderError("every entry needs a resource", place="Bundle.entry", issue="required")
    header = resources[0]
    if header.get("resourceType") != "MessageHeader":
        raise SenderError("a message begins with a MessageHeader", place="Bundle.entry[0].resource", issue="structure")
    happened = _instant(bundle.get("timestamp"), "Bundle.timestamp")
    written = next((each for each in resources[1:] if each.get("resourceType") == "Communication"), None)
    if written is not None:
        return _answer(written, header, happened)
    return _acknowledgement(header, resources[1:], happened)


def acknowledged(answer: object, key: str) -> Heard | None:
    """What the answer to the sending itself says, where it is the response message to it; None otherwise."""
    try:
        found = heard(answer) if isinstance(answer, dict) else None
    except SenderError:
        return None
    return found if found is not None and found.about == key else None


def _acknowledgement(header: Resource, others: list[Resource], happened: datetime | None) -> Heard:
    place = "Bundle.entry[0].resource.response"
    response = header.get("response")
    if not isinstance(response, dict):
        told = "is missing; say which message this answers, or send a Communication that is inResponseTo it"
        raise SenderError(told, place=place, issue="required")
    about, code = response.get("identifier"), response.get("code")
    if not isinstance(about, str) or not about:
        raise SenderError("give the id of the MessageHeader that this answers", place=f"{place}.identifier")
    if not isinstance(code, str) or code not in _RESPONSES:
        told = f"{str(code)[:40]!r} is not allowed; send one of {', '.join(_RESPONSES)}"
        raise SenderError(told, place=f"{place}.code", issue="code-invalid")
    outcomes = (each for each in others if each.get("resourceType") == "OperationOutcome")
    issues = [issue for outcome in outcomes for issue in objects(outcome.get("issue"))]
    known = [(value, found) for value in _codes(issues) if (found := report_of_code(value)) is not None]
    value, report = known[0] if known else ("", _RESPONSES[code])
    if not value and report is Report.INFRASTRUCTURE_BAD and any(str(i.get("code")) in _NOT_KNOWN_HERE for i in issues):
        report = Report.BUSINESS_BAD
    return Heard(
        about=identity_of(about),
        report=report,
        code=value,
        says=_words(issues),
        happened=happened,
    )


def _answer(written: Resource, header: Resource, happened: datetime | None) -> Heard:
    place = "Communication.inResponseTo"
    answered = objects(written.get("inResponseTo"))
    named = [each["identifier"] for each in answered if isinstance(each.get("identifier"), dict)]
    keys = [str(each.get("value", "")) for each in named if each.get("system") == DISPATCH]
    response = header.get("response")
    if not keys and isinstance(response, dict) and isinstance(response.get("identifier"), str):
        keys = [identity_of(response["identifier"])]
    if not keys or not keys[0]:
        raise SenderError(f"names no message of ours; give its identifier in {DISPATCH}", place=place, issue="required")
    words = [each.get("contentString") for each in objects(written.get("payload"))]
    says = " ".join(each for each in words if isinstance(each, str))
    return Heard(
        about=keys[0],
        report=Report.ANSWERED,
        says=" ".join(says.split())[:LONGEST],
        happened=_instant(written.get("sent"), "Communication.sent") or happened,
    )


def _codes(issues: list[Resource]) -> list[str]:
    details = [issue["details"] for issue in issues if isinstance(issue.get("details"), dict)]
    codings = [coding for each in details for coding in objects(each.get("coding"))]
    return [str(coding.get("code", "")) for coding in codings]


def _words(issues: list[Resource]) -> str:
    said = [issue.get("diagnostics") or _text(issue.get("details")) for issue in issues]
    return " ".join(" ".join(each.split()) for each in said if isinstance(each, str))[:LONGEST]


def _text(details: Any) -> Any:
    return details.get("text") if isinstance(details, dict) else None


def _instant(value: object, place: str) -> datetime | None:
    if value is None:
        return None
    if flaw := flaw_in_instant(value):
        raise SenderError(flaw, place=place, issue="value")
    return datetime.fromisoformat(str(value)).astimezone(UTC)
