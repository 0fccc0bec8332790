"""The words that all policies share: which codes of the service's own systems mean what.

They are the published contract of the service, the same for every pack and every EPR; an EPR's own codes are translated
into them by its mapping.
"""

from __future__ import annotations

BASE = "https://fhirbridge.example/fhir"

SIGNALS = frozenset(
    {
        "risk",
        "risk-high",
        "risk-none",
        "self-harm-risk",
        "immediate-risk",
        "child-contact",
        "child-concern",
        "child-services",
        "safeguarding-adult",
        "safeguarding-child",
        "community-treatment-order",
        "conditional-discharge",
        "capacity-doubt",
        "disengagement-concern",
        "disengagement-history",
        "sharing-refused",
        "agency-linked",
        "contact-restricted",
        "confinement",
        "single-person-setting",
        "section-117",
        "hearing-arranged",
        "ready-for-discharge",
    }
)

RISK_SIGNALS = frozenset(
    {"risk", "risk-high", "self-harm-risk", "immediate-risk", "safeguarding-adult", "safeguarding-child"}
)
NO_RISK_SIGNALS = frozenset({"risk-none"})
CHILD_SIGNALS = frozenset({"child-contact", "child-concern", "child-services"})

OUTCOMES = frozenset(
    {
        "contact-made",
        "no-answer",
        "message-left",
        "calling-card-left",
        "declined",
        "deteriorated",
        "well-wants-discharge",
        "goals-met",
        "fit-concern",
        "immediate-risk",
        "plan-agreed",
        "discharge-agreed",
        "discharge-not-agreed",
        "higher-risk",
        "lower-risk",
        "done",
        "not-appropriate",
    }
)

PRIORITIES = ("routine", "urgent", "asap", "stat")
"""R4's request priorities, the least first (https://hl7.org/fhir/R4/valueset-request-priority.html)."""

ANSWERED = frozenset({"completed", "failed", "rejected"})
"""The R4 statuses of a Task that somebody has answered, if only by refusing it."""

CONTACTS_PATIENT = frozenset(
    {"contact-patient", "contact-patient-devices", "unannounced-visit", "send-check-in-message"}
)
"""Actions of a Task that tries to reach the patient themselves."""

CONTACT_MADE = frozenset(
    {"contact-made", "declined", "deteriorated", "well-wants-discharge", "goals-met", "fit-concern"}
)
"""Outcomes of such a Task that mean the patient was reached."""

ATTEMPT_FAILED = frozenset({"no-answer", "message-left", "calling-card-left"})
"""Outcomes of such a Task that mean nobody was reached."""

NOT_DONE = ATTEMPT_FAILED | {"declined", "not-appropriate", "discharge-not-agreed"}
"""Outcomes with which a Task is completed, but what it asked for did not come about."""

SETTINGS = frozenset({"community", "home-treatment", "inpatient", "therapy"})

ADULT_AT = 18
"""Age in years at which a person is no longer a child (Children Act 1989, section 105)."""
