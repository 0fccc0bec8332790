"""The outcomes of a step as a person chooses among them: in groups, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fhirbridge.core.vocabulary import ATTEMPT_FAILED, CONTACT_MADE
from fhirbridge.core.vocabulary import OUTCOMES as CODES

_DECIDED = frozenset({"plan-agreed", "discharge-agreed", "discharge-not-agreed", "higher-risk", "lower-risk"})

OUTCOMES: Final[Mapping[str, tuple[str, ...]]] = {
    "The step as such": tuple(sorted(CODES - CONTACT_MADE - ATTEMPT_FAILED - _DECIDED)),
    "Nobody was reached": tuple(sorted(ATTEMPT_FAILED)),
    "The patient was reached": tuple(sorted(CONTACT_MADE)),
    "It was decided or found": tuple(sorted(_DECIDED)),
}
"""Every outcome of the contract, each in one group."""
