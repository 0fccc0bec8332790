"""The service of the demonstration: as the wiring builds it, with the story's time put in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct, structs
from pydantic import HttpUrl, SecretStr

from fhirbridge.access import AccessSettings, hashed, token_hash
from fhirbridge.access.sections import PersonAccess, SystemAccess
from fhirbridge.demo.letterhead import letterhead
from fhirbridge.demo.people import Caseload, instant
from fhirbridge.demo.story_time import StoryClock, StoryEpr
from fhirbridge.fhir.directory import Contact, Directory, Organisation
from fhirbridge.service import Service
from fhirbridge.settings import EprSettings, ReceiverSettings, Settings
from fhirbridge.wiring.policies import calendar_of
from fhirbridge.wiring.service import Runtime, built

EPR = "sample"
VISITOR = "demo"
"""The name to sign in by at the console."""

_POLL = 0.2
_LEASE = 0.001
"""Seconds for which a worker holds a patient. There is one worker, and the story must not wait for leases to expire."""

_QUICK = 2**14
"""The cost of a password that is worth something for as long as the demonstration runs."""


class Keys(Struct, frozen=True):
    """What opens the demonstration: the password of the console, the token of the FHIR view, and random salt."""

    password: str
    token: str
    salt: bytes

    def access(self) -> AccessSettings:
        """One visitor, one client."""
        password = SecretStr(hashed(self.password, self.salt, n=_QUICK))
        return AccessSettings(
            people={VISITOR: PersonAccess(name="Demo visitor", role="Team manager", password=password)},
            systems={VISITOR: SystemAccess(token_sha256=token_hash(self.token))},
        )


@asynccontextmanager
async def staged(
    caseload: Caseload, folder: Path, epr_url: str, port: int, keys: Keys, gp: Organisation
) -> AsyncIterator[tuple[Runtime, StoryClock]]:
    """The service with its database in the folder, to listen on the port, and the clock that it goes by.

    `gp` is the surgery that it can reach.
    """
    # Made without the environment: a demonstration has no business with the database of a service that is set up here.
    settings = Settings.model_construct(
        database_url=f"sqlite:///{folder / 'fhirbridge.db'}",
        port=port,
        eprs={EPR: EprSettings(base_url=HttpUrl(epr_url))},
        poll=_POLL,
        lease=_LEASE,
        access=keys.access(),
        letters=letterhead(caseload.service),
        receivers={"surgery": ReceiverSettings(endpoint=HttpUrl(gp.endpoint), secret=SecretStr(keys.token))},
    )
    calendar = calendar_of(settings.zone, settings.holidays)
    clock = StoryClock(instant(caseload.begins, calendar), machine=lambda: datetime.now(UTC))
    async with built(settings, clock) as runtime:
        sites = {
            name: structs.replace(site, epr=StoryEpr(site.epr, clock), directory=_with(gp, site.directory))
            for name, site in runtime.service.sites.items()
        }
        service = Service(runtime.store, sites, clock, runtime.service.sending.channels)
        yield replace(runtime, service=service), clock


def _with(gp: Organisation, directory: Directory) -> Directory:
    """The directory of the demonstration: the surgery, and one agency that the EPR itself reaches."""
    agency = Contact(display="Harbour Housing Support", reference="Organization/housing-support")
    return structs.replace(directory, organisations=(gp,), roles={**directory.roles, "agency": agency})
