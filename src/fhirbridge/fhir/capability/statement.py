"""A CapabilityStatement read (https://hl7.org/fhir/R4/capabilitystatement.html).

A statement says less than one would wish. What it leaves out altogether, for every type, is taken as offered and marked
as not stated; what it says for some types and not for others is taken at its word.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from fhirbridge.errors import EprError
from fhirbridge.fhir.r4 import Resource

BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
BACKPORT_PROFILE = BACKPORT + "backport-subscription"
BACKPORT_TOPIC = BACKPORT + "capabilitystatement-subscriptiontopic-canonical"

ASSUMED = frozenset({"read", "search-type", "create", "update", "history-instance"})
"""Interactions of a type in a statement that lists interactions for none."""


class Offer(Struct, frozen=True, kw_only=True):
    """What the EPR offers of one resource type; `stated` is False where its interactions had to be assumed.

    `operations` are named without their `$`.
    """

    type: str
    interactions: frozenset[str]
    parameters: frozenset[str]
    operations: frozenset[str] = frozenset()
    any_parameter: bool = False
    conditional_create: bool = False
    update_create: bool = False
    stated: bool = True

    def can(self, *interactions: str) -> bool:
        """Whether all of these interactions are offered."""
        return self.interactions.issuperset(interactions)

    def searches(self, *parameters: str) -> str:
        """The first of these search parameters that a search can have; empty where there is none."""
        if not self.can("search-type"):
            return ""
        return next((one for one in parameters if self.any_parameter or one in self.parameters), "")


class Capability(Struct, frozen=True, kw_only=True):
    """What an EPR says it can do.

    `topics` are the canonicals of subscription topics it names, `security` the codes or names of its ways to
    authenticate, `json` whether it speaks FHIR's JSON.
    """

    fhir_version: str
    software: str
    offers: Mapping[str, Offer]
    transaction: bool = False
    backport: bool = False
    topics: frozenset[str] = frozenset()
    security: tuple[str, ...] = ()
    json: bool = True

    @classmethod
    def of(cls, statement: Resource) -> Capability:
        """Read a CapabilityStatement of R4.

        Raises:
            EprError: it is something else.
        """
        if (kind := statement.get("resourceType", "CapabilityStatement")) != "CapabilityStatement":
            raise EprError(f"metadata is a {kind}, no CapabilityStatement; check base_url")
        servers = [rest for rest in _listed(statement, "rest") if rest.get("mode", "server") == "server"]
        listed = [entry for rest in servers for entry in _listed(rest, "resource")]
        common = frozenset(name for rest in servers for name in _codes(rest, "searchParam", "name"))
        silent = not any(_listed(entry, "interaction") for entry in listed)
        unsearched = not (common or any(_listed(entry, "searchParam") for entry in listed))
        offers = {str(entry.get("type")): _offer(entry, common, silent, unsearched) for entry in listed}
        subscription: Resource = next((entry for entry in listed if entry.get("type") == "Subscription"), {})
        topics = frozenset(_topics(subscription))
        formats = [str(one) for one in statement.get("format") or []]
        return cls(
            fhir_version=str(statement.get("fhirVersion", "")),
            software=_software(statement),
            offers=offers,
            transaction=any("transaction" in _codes(rest, "interaction", "code") for rest in servers),
            backport=bool(topics) or _is_backport(subscription),
            topics=topics,
            security=tuple(dict.fromkeys(name for rest in servers for name in _security(rest))),
            json=not formats or any("json" in one for one in formats),
        )

    def offer(self, resource_type: str) -> Offer:
        """What it offers of a type: nothing, where it does not list it."""
        return self.offers.get(
            resource_type, Offer(type=resource_type, interactions=frozenset(), parameters=frozenset())
        )

    @property
    def subscribes(self) -> bool:
        """Whether subscriptions can be registered and looked after."""
        return self.offer("Subscription").can("create", "read")


def _offer(entry: Resource, common: frozenset[str], silent: bool, unsearched: bool) -> Offer:
    return Offer(
        type=str(entry.get("type")),
        interactions=ASSUMED if silent else _codes(entry, "interaction", "code"),
        parameters=common | _codes(entry, "searchParam", "name"),
        operations=frozenset(name.lstrip("$") for name in _codes(entry, "operation", "name")),
        any_parameter=unsearched,
        conditional_create=bool(entry.get("conditionalCreate")),
        update_create=bool(entry.get("updateCreate")),
        stated=not silent,
    )


def _listed(element: Resource, name: str) -> list[Resource]:
    value = element.get(name)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _codes(element: Resource, name: str, of: str) -> frozenset[str]:
    return frozenset(str(one[of]) for one in _listed(element, name) if of in one)


def _topics(subscription: Resource) -> Iterator[str]:
    for extension in _listed(subscription, "extension"):
        if extension.get("url") == BACKPORT_TOPIC:
            yield str(extension.get("valueCanonical") or extension.get("valueUri") or "").partition("|")[0]


def _is_backport(subscription: Resource) -> bool:
    profiles: list[Any] = subscription.get("supportedProfile") or []
    return any(str(profile).partition("|")[0] == BACKPORT_PROFILE for profile in profiles)


def _security(rest: Resource) -> Iterator[str]:
    security = rest.get("security")
    for service in _listed(security, "service") if isinstance(security, dict) else []:
        codes = [str(coding["code"]) for coding in _listed(service, "coding") if "code" in coding]
        yield from codes or [str(service["text"])] * ("text" in service)


def _software(statement: Resource) -> str:
    software = statement.get("software")
    if not isinstance(software, dict):
        return str(statement.get("publisher") or "")
    return " ".join(str(software[name]) for name in ("name", "version") if software.get(name))
