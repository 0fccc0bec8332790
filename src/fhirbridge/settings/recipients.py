"""How people outside the EPR are reached, and by when they have to confirm."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, HttpUrl, SecretStr, StringConstraints, field_validator

from fhirbridge.fhir.itk3_rules import MAILBOX
from fhirbridge.settings.authentication import Tls
from fhirbridge.settings.section import Period, Section


class LetterSettings(Section):
    """The trust's letterhead, and where its own wording and fonts are.

    `crisis_phone` is answered day and night. `return_address` shows in the window of an envelope: give one that says
    nothing about the service. `logo` is an SVG, PNG or JPEG with `logo_says` in place of it for those who cannot see
    it. `texts` is a folder with wording of your own, `fonts` one with fonts, of which `font` names the one to use.
    """

    name: str = Field(min_length=1)
    address: tuple[str, ...] = Field(min_length=1)
    phone: str = Field(min_length=3)
    crisis_phone: str = Field(min_length=3)
    return_address: tuple[str, ...] = ()
    email: str = ""
    hours: str = ""
    website: str = ""
    signatory: str = ""
    signatory_title: str = ""
    logo: Path | None = None
    logo_says: str = ""
    texts: Path | None = None
    font: str = ""
    fonts: Path | None = None


class MeshSettings(Tls):
    """Our mailbox at MESH, through which letters reach GP practices in England.

    `mailbox`, `password` and `shared_key` are those NHS England gave; `certificate` is the client certificate that live
    MESH asks for. `ods` is the organisation that sends; its name and telephone number are those of the letterhead.
    `chunk` is the size in bytes above which a message goes in parts, `timeout` the seconds that one request may take,
    `poll` those between two looks into the mailbox.
    """

    url: HttpUrl
    mailbox: str
    password: SecretStr
    shared_key: SecretStr
    ods: Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{3,10}$")]
    chunk: int = Field(default=75_000_000, ge=1_000, le=100_000_000)
    timeout: float = Field(default=60.0, gt=0)
    poll: float = Field(default=300.0, ge=0)

    @field_validator("mailbox")
    @classmethod
    def _is_one(cls, mailbox: str) -> str:
        if not MAILBOX.fullmatch(mailbox):
            raise ValueError(
                "is no MESH mailbox; write 5 to 20 capitals and digits, as X26HC005, not a telephone number"
            )
        return mailbox


class PostSettings(Section):
    """Print and post: `folder` is where hybrid mail picks up letters; made where it is missing."""

    folder: Path


class ReceiverSettings(Section):
    """One FHIR receiver. `endpoint` is its base URL, the same as in the directory; `way` what it takes.

    `token` is what it gave us to show; `secret` what it has to show us when it answers.
    """

    endpoint: HttpUrl
    way: Literal["message", "transaction"] = "message"
    token: SecretStr | None = None
    secret: SecretStr = Field(min_length=16)


class DeliverySettings(Section):
    """By when what was sent has to be confirmed, counted from the hand-over, for each channel: `P5D`, `2WD`, `PT36H`.

    `chase` is the time that a person has to find out, once it was not. MESH itself gives up after five days.
    """

    mesh: Period = "P5D"
    fhir: Period = "P5D"
    post: Period = "2WD"
    chase: Period = "1WD"
