"""What every section of the settings is made of, and the words that stand in several."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

from fhirbridge.core.calendar import span
from fhirbridge.errors import ConfigurationError

PREFIX = "FHIRBRIDGE_"


def _period(text: str) -> str:
    try:
        span(text)
    except ConfigurationError as error:
        raise ValueError(error.message) from None
    return text


Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9\-]{0,62}$")]
Risk = Annotated[str, StringConstraints(pattern=r"^(unknown|none|identified)$")]
Written = Annotated[str, StringConstraints(pattern=r"^(Task|Flag|CarePlan|Communication|Provenance|AuditEvent)$")]
Period = Annotated[str, AfterValidator(_period)]
Overrides = dict[str, dict[str, str | int]]
"""For each pack, new values of its settings."""


class Section(BaseModel):
    """Base: frozen, nothing unknown accepted."""

    model_config = ConfigDict(frozen=True, extra="forbid")
