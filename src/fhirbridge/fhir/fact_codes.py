"""Which of the service's own codes each field of a fact can hold: what no policy knows, no mapping may give."""

from __future__ import annotations

from fhirbridge.core.codes import ACTIONS, ROLES
from fhirbridge.core.facts import AppointmentState
from fhirbridge.core.vocabulary import OUTCOMES, SETTINGS, SIGNALS

ADVOCATE = "advocate"
"""The one participant whom policies ask for and who is no role: an advocate is not the service's to send."""

TRUTHS = frozenset({"true", "false"})
"""What a concept map for a truth gives."""

_ROLES = frozenset({*ROLES, ADVOCATE})

OURS: dict[str, tuple[str, frozenset[str]]] = {
    "state": ("state of an appointment", frozenset(state.value for state in AppointmentState)),
    "signals": ("signal", SIGNALS),
    "settings": ("setting of an episode", SETTINGS),
    "priority": ("priority", frozenset({"routine", "urgent", "asap", "stat"})),
    "actions": ("action", frozenset(ACTIONS)),
    "outcome": ("outcome of a step", OUTCOMES),
    "participants": ("role", _ROLES),
    "holders": ("role", _ROLES),
    "kinds": ("relation to the patient", frozenset({"child", "family", "carer", "associate", "next-of-kin"})),
    "covers": ("role", _ROLES),
}
"""For each field of codes what one of them is called, and which there are."""
