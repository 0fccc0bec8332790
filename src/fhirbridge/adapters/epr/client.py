"""The EPR over HTTP: FHIR R4's RESTful API (https://hl7.org/fhir/R4/http.html), one pooled client for each EPR.

Only what is under the base URL is ever asked for, since every request carries the EPR's token. Redirects are not
followed for the same reason. An answer is read up to a limit, and a search up to a number of pages, so that an EPR
that has gone wrong cannot take the service with it.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urljoin, urlsplit

import httpx
import orjson

from fhirbridge import __version__
from fhirbridge.adapters.auth import Credentials, usual_trust
from fhirbridge.adapters.epr import answers
from fhirbridge.adapters.epr.bundles import checked, committed, matches, next_page
from fhirbridge.adapters.epr.delivery import deliver
from fhirbridge.adapters.epr.throttle import Throttle
from fhirbridge.errors import EprError, EprUnavailable
from fhirbridge.fhir.r4 import FHIR_JSON
from fhirbridge.ports import Delivery, Event, Receipt, Resource

TIMEOUT = httpx.Timeout(30.0, connect=5.0, pool=10.0)
LONGEST = 120.0
LIMITS = httpx.Limits(max_connections=20, max_keepalive_connections=10, keepalive_expiry=30.0)
CAPABILITY_LASTS = 3600.0
LARGEST_ANSWER = 32 * 1024 * 1024
MOST_PAGES = 1000
MOST_READINGS = 6
PAGE = 200


# httpx logs every URL with its query at INFO, and a query can hold an NHS number; httpcore all headers at DEBUG.
for _library in ("httpx", "httpcore"):
    logging.getLogger(_library).setLevel(logging.WARNING)


class FhirEpr:
    """One EPR over FHIR R4 (`ports.Epr`). Use it as an async context manager, or call `aclose`.

    `base_url` is the EPR's FHIR base, with or without a slash at its end; `auth` says who asks, `tls` whom to trust and
    which certificate to show. `timeout` is for each step of a request, `longest` in seconds for the whole of it;
    `largest_answer` in bytes; `most_pages` bounds one search; `throttle` how fast it is asked, all in all. A search
    pages by the EPR's `next` links: where these are offsets, a resource that is changed meanwhile makes another slip
    from one page to one that was read already. So an answer of several pages is read again until a reading brings
    nothing new.
    """

    def __init__(  # noqa: PLR0913  # each bounds something else
        self,
        name: str,
        base_url: str,
        *,
        auth: Credentials | None = None,
        tls: ssl.SSLContext | None = None,
        timeout: httpx.Timeout = TIMEOUT,
        longest: float = LONGEST,
        largest_answer: int = LARGEST_ANSWER,
        most_pages: int = MOST_PAGES,
        throttle: Throttle | None = None,
        capability_lasts: float = CAPABILITY_LASTS,
    ) -> None:
        self.name = name
        self._base = base_url.rstrip("/") + "/"
        self._auth = auth
        self._longest = longest
        self._largest_answer = largest_answer
        self._most_pages = most_pages
        self._throttle = throttle or Throttle()
        self._capability: Resource | None = None
        self._capability_lasts = capability_lasts
        self._capability_until = 0.0
        self._client = httpx.AsyncClient(
            verify=tls or usual_trust(),
            timeout=timeout,
            limits=LIMITS,
            follow_redirects=False,
            headers={"Accept": FHIR_JSON, "User-Agent": f"fhirbridge/{__version__}"},
        )

    async def __aenter__(self) -> Self:
        """Nothing is opened before the first request."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def capability(self) -> Resource:
        """Its CapabilityStatement (`GET /metadata`), asked for again when it is `capability_lasts` seconds old.

        While the EPR cannot be asked, the last one holds.
        """
        now = asyncio.get_running_loop().time()
        if self._capability is None or now >= self._capability_until:
            try:
                self._capability = await self._ask("GET", "metadata", what="metadata")
            except EprError:
                if self._capability is None:
                    raise
            self._capability_until = now + self._capability_lasts
        return self._capability

    async def read(self, reference: str) -> Resource | None:
        """The current version of `Type/id`; None when deleted or unknown (404, 410)."""
        return await self._found(checked(reference), what=f"read {reference}")

    async def history(self, reference: str) -> list[Resource]:
        """Every version of `Type/id` the EPR still has, oldest first, deletions left out; empty where it keeps none."""
        what = f"history of {reference}"
        versions: list[Resource] = []
        async for page in self._pages(f"{checked(reference)}/_history?_count={PAGE}", what, absent_is_empty=True):
            for entry in page.get("entry", []):
                if isinstance(version := entry.get("resource"), dict):
                    versions.append(version)
        return versions[::-1]

    async def search(
        self, resource_type: str, parameters: Mapping[str, str | Sequence[str]]
    ) -> AsyncIterator[Resource]:
        """All matches, over all pages; pages are followed only inside the EPR's own base URL.

        The EPR is asked to refuse what it does not understand: to ignore a parameter would widen the search. An answer
        of several pages is read until nothing new comes, and given up where that does not come to an end.
        """
        given = {name: value if isinstance(value, str) else list(value) for name, value in parameters.items()}
        query = httpx.QueryParams({"_count": str(PAGE), **given})
        what = f"search {resource_type}"
        seen: set[str] = set()
        for reading in range(MOST_READINGS):
            pages, new = 0, False
            async for page in self._pages(f"{resource_type}?{query}", what):
                pages += 1
                for match in matches(page, resource_type):
                    if (identity := str(match.get("id"))) not in seen:
                        seen.add(identity)
                        new = True
                        yield match
            if pages <= 1 or (reading and not new):
                return
        raise EprUnavailable(f"{self.name}: {what}: it keeps changing while it is read; narrow the search")

    async def changes(self, resource_type: str, since: datetime) -> AsyncIterator[Event]:
        """Every version of any resource of the type committed since then, deletions too (type-level `_history`).

        The newest come first (FHIR R4, http.html#history), so what is committed meanwhile repeats some and hides none.
        """
        query = httpx.QueryParams({"_count": str(PAGE), "_since": f"{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"})
        async for page in self._pages(f"{resource_type}/_history?{query}", f"history of {resource_type}"):
            for event in committed(page, resource_type):
                yield event

    async def deliver(self, deliveries: Sequence[Delivery], references: dict[str, str]) -> list[Receipt]:
        """Carry out the rows of one subject: see `fhirbridge.adapters.epr.delivery.deliver`."""
        return await deliver(self, deliveries, references)

    async def invoke(self, path: str) -> Resource:
        """The answer of an operation that changes nothing, `Type/id/$name?parameters`."""
        return await self._ask("GET", path, what=path.partition("?")[0])

    async def transact(self, bundle: Resource) -> Resource:
        """Carry out a transaction Bundle, all of it or nothing; the transaction-response Bundle."""
        return await self._ask("POST", "", bundle, what="transaction", prefer="return=minimal")

    async def interact(self, entry: Resource) -> Resource:
        """Carry out one entry of a Bundle by itself, with its conditions as headers; the entry that answers it."""
        asked, content = entry["request"], entry["resource"]
        what = f"{asked['method']} {asked['url']}"
        request = self._request(asked["method"], asked["url"], content, "return=minimal")
        for name, header in (("ifNoneExist", "If-None-Exist"), ("ifMatch", "If-Match")):
            if name in asked:
                request.headers[header] = asked[name]
        response, body = await self._send(request, what)
        stored = answers.resource(response, body, f"{self.name}: {what}")
        headers = {"location": response.headers.get("Location", ""), "etag": response.headers.get("ETag", "")}
        answered: Resource = {"response": {"status": str(response.status_code), **headers}}
        # What comes back unasked for may be an OperationOutcome with hints.
        if stored.get("resourceType") == content["resourceType"]:
            answered["resource"] = stored
        elif asked["method"] == "PUT" and not headers["location"]:
            answered["response"]["location"] = asked["url"]
        return answered

    async def create(self, resource: Resource) -> Resource:
        """Plain create; the stored resource."""
        kind = str(resource["resourceType"])
        return await self._ask("POST", kind, resource, what=f"create {kind}", prefer="return=representation")

    async def update(self, resource: Resource) -> Resource:
        """Plain update by id, whatever its version; the stored resource."""
        reference = checked(f"{resource['resourceType']}/{resource['id']}")
        return await self._ask("PUT", reference, resource, what=f"update {reference}", prefer="return=representation")

    async def _pages(self, path: str, what: str, *, absent_is_empty: bool = False) -> AsyncIterator[Resource]:
        """A Bundle and all that follow it."""
        following = path
        for _ in range(self._most_pages):
            bundle = await self._found(following, what=what)
            if bundle is None and absent_is_empty:
                return
            if bundle is None or bundle.get("resourceType") != "Bundle":
                raise EprError(f"{self.name}: {what}: no Bundle; check that the EPR offers this interaction")
            yield bundle
            following = next_page(bundle)
            if not following:
                return
        raise EprError(f"{self.name}: {what}: more than {self._most_pages} pages; narrow the search")

    async def _found(self, path: str, *, what: str) -> Resource | None:
        request = self._request("GET", path, None, "handling=strict")
        response, body = await self._send(request, what)
        if response.status_code in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
            answers.check_absence(body, f"{self.name}: {what}: {response.status_code}")
            return None
        return answers.resource(response, body, f"{self.name}: {what}")

    async def _ask(
        self, method: str, path: str, content: Resource | None = None, *, what: str, prefer: str = ""
    ) -> Resource:
        response, body = await self._send(self._request(method, path, content, prefer), what)
        answer = answers.resource(response, body, f"{self.name}: {what}")
        if not answer:
            raise EprError(f"{self.name}: {what}: the answer is empty; the EPR has to honour `Prefer: {prefer}`")
        return answer

    def _request(self, method: str, path: str, content: Resource | None, prefer: str) -> httpx.Request:
        url = urljoin(self._base, path) if path else self._base.rstrip("/")
        if not self._inside(url):
            raise EprError(f"{self.name}: a link leads out of {self._base}; it was not followed")
        headers = {"Prefer": prefer} if prefer else {}
        if content is None:
            return self._client.build_request(method, url, headers=headers)
        headers["Content-Type"] = FHIR_JSON
        return self._client.build_request(method, url, headers=headers, content=orjson.dumps(content))

    def _inside(self, url: str) -> bool:
        parts, base = urlsplit(url), urlsplit(self._base)
        same_origin = (parts.scheme, parts.netloc) == (base.scheme, base.netloc)
        return same_origin and (parts.path.rstrip("/") + "/").startswith(base.path) and ".." not in unquote(parts.path)

    async def _send(self, request: httpx.Request, what: str) -> tuple[httpx.Response, bytes]:
        """Send with credentials; once more with new ones where the EPR does not take those and there may be others."""
        if self._auth is None:
            return await self._exchange(request, what)
        header = request.headers["Authorization"] = await self._auth.header(self._exchange)
        response, body = await self._exchange(request, what)
        if response.status_code != httpx.codes.UNAUTHORIZED or not self._auth.refused(header):
            return response, body
        request.headers["Authorization"] = await self._auth.header(self._exchange)
        return await self._exchange(request, what)

    async def _exchange(self, request: httpx.Request, what: str) -> tuple[httpx.Response, bytes]:
        body = bytearray()
        try:
            async with self._throttle.turn(), asyncio.timeout(self._longest):
                response = await self._client.send(request, stream=True)
                try:
                    async for chunk in response.aiter_bytes():
                        body += chunk
                        if len(body) > self._largest_answer:
                            raise EprError(f"{self.name}: {what}: more than {self._largest_answer} bytes; ask for less")
                finally:
                    await response.aclose()
        except TimeoutError as error:
            raise EprUnavailable(
                f"{self.name}: {what}: not answered within {self._longest:g} s; is it slow?"
            ) from error
        except httpx.TransportError as error:
            why = _tls_fault(error) or f"{type(error).__name__}; is the EPR up?"
            raise EprUnavailable(f"{self.name}: {what}: {why}") from error
        except httpx.DecodingError as error:
            raise EprError(f"{self.name}: {what}: the answer is not in the encoding that it names") from error
        return response, bytes(body)


def _tls_fault(error: BaseException) -> str:
    """What is wrong with the certificates, if that is what kept a connection from being made."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {cause.verify_message}; set auth.ca, or mend the certificate"
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed: {cause.reason}; check auth.certificate and that base_url is https"
        cause = cause.__cause__ or cause.__context__
    return ""
