"""What the settings, the packs and the directory mean for one EPR, beyond being readable."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from fhirbridge.core.calendar import Calendar
from fhirbridge.core.policy import Pack
from fhirbridge.doctor.findings import Finding, Level
from fhirbridge.fhir.capability import Feed, FeedKind
from fhirbridge.fhir.directory import Directory
from fhirbridge.settings import EprSettings, Settings
from fhirbridge.wiring.letters import lint_letters

_BY_THE_RECORD = frozenset({"", "patient", "gp", "referrer"})
"""Roles whose holders the patient's own record names."""

_TOLD = (FeedKind.BACKPORT, FeedKind.REST_HOOK)


def means_of(one: EprSettings) -> str:
    """How the service shows this EPR who it is, in words."""
    kinds: list[str] = [one.auth.kind] if one.auth else []
    if one.token:
        kinds.append("bearer")
    if one.auth and one.auth.certificate and one.auth.kind != "mtls":
        kinds.append("client certificate")
    return " and ".join(kinds) or "no credentials"


def of_settings(settings: Settings, one: EprSettings, feeds: Sequence[Feed]) -> Iterator[Finding]:
    """What the settings mean for the connection in both directions."""
    url = str(one.base_url)
    if (one.token or one.auth) and _open(url):
        yield Finding(
            area="settings",
            checked="base_url",
            found="http: credentials and patients' data travel in the open",
            level=Level.ATTENTION,
            remedy="use https",
        )
    told = [feed.type for feed in feeds if feed.kind in _TOLD]
    if not told:
        return
    if _is_here(settings.reached_at) and not _is_here(url):
        yield Finding(
            area="settings",
            checked="public_url",
            found=f"{settings.reached_at}: the EPR cannot send notifications there",
            level=Level.LACKING,
            remedy="set public_url to where the EPR reaches the service",
        )
    elif _open(settings.reached_at):
        yield Finding(
            area="settings",
            checked="public_url",
            found="http: secrets and patients' data travel in the open",
            level=Level.ATTENTION,
            remedy="put the service behind https",
        )
    else:
        yield Finding(area="settings", checked="public_url", found=settings.reached_at, used="notifications")


def of_directory(packs: Sequence[Pack], directory: Directory) -> Iterator[Finding]:
    """Whom the packs address, and whom of them the directory knows."""
    names = ", ".join(f"{pack.name} {pack.version}" for pack in packs)
    yield Finding(area="settings", checked="policies", found=names or "none", level=_if(not packs, Level.ATTENTION))
    acts = [act for pack in packs for pathway in pack.pathways for step in pathway.steps for act in step.acts]
    wanted = {role for act in acts for role in (act.role, act.role_out_of_hours or "")} - _BY_THE_RECORD
    nobody = sorted(role for role in wanted if not directory.resolve(role).resolved and not _in_a_team(directory, role))
    yield Finding(
        area="settings",
        checked="directory",
        found=f"{len(wanted) - len(nobody)} of {len(wanted)} roles resolved, {len(directory.teams)} teams",
        level=_if(bool(nobody), Level.ATTENTION),
        remedy=f"name who is behind {', '.join(nobody)} in directory.yaml" if nobody else "",
    )


def of_letters(settings: Settings, packs: Sequence[Pack], calendar: Calendar) -> Iterator[Finding]:
    """What would be wrong with a letter, found before the first one; without a letterhead there are none."""
    if settings.letters is None:
        remedy = "set letters: its name, address, phone and crisis_phone"
        found = "no letterhead: what would be a letter goes out as its words alone"
        yield Finding(area="settings", checked="letters", found=found, level=Level.ATTENTION, remedy=remedy)
        return
    flaws = list(lint_letters(settings, packs, calendar))
    for flaw in flaws:
        yield Finding(
            area="settings",
            checked="letters",
            found=str(flaw),
            level=Level.LACKING,
            remedy="mend it; `fhirbridge letter check` looks again",
        )
    if not flaws:
        yield Finding(area="settings", checked="letters", found=settings.letters.name, used="letters as PDF")


def _in_a_team(directory: Directory, role: str) -> bool:
    return any(team.roles[role].resolved for team in directory.teams if role in team.roles)


def _if(condition: bool, level: Level) -> Level:
    return level if condition else Level.FINE


def _open(url: str) -> bool:
    return urlsplit(url).scheme == "http" and not _is_here(url)


def _is_here(url: str) -> bool:
    """Whether a URL leads to this machine itself."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
