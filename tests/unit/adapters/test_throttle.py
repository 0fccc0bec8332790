"""How fast an EPR is asked, and how long it is believed about itself."""

from __future__ import annotations

import asyncio

import httpx
import respx

from fhirbridge.adapters.epr import FhirEpr, Throttle

BASE = "https://epr.example/fhir"


async def test_requests_begin_one_after_the_other() -> None:
    throttle = Throttle(rate=200.0, at_once=10)
    loop = asyncio.get_running_loop()
    begun: list[float] = []

    async def one() -> None:
        async with throttle.turn():
            begun.append(loop.time())

    await asyncio.gather(*(one() for _ in range(5)))
    assert begun[-1] - begun[0] >= 4 / 200 - 0.002


async def test_no_more_than_so_many_are_under_way() -> None:
    throttle = Throttle(rate=10_000.0, at_once=2)
    under_way = most = 0

    async def one() -> None:
        nonlocal under_way, most
        async with throttle.turn():
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0)
            under_way -= 1

    await asyncio.gather(*(one() for _ in range(9)))
    assert most == 2


@respx.mock
async def test_the_statement_is_asked_for_again_when_it_is_old_and_holds_while_nobody_answers() -> None:
    old, new = ({"resourceType": "CapabilityStatement", "version": version} for version in "12")
    route = respx.get(f"{BASE}/metadata")
    route.side_effect = [httpx.Response(200, json=old), httpx.Response(503), httpx.Response(200, json=new)]
    async with FhirEpr("trust", BASE, capability_lasts=0.0) as epr:
        assert [await epr.capability() for _ in range(3)] == [old, old, new]
    route.side_effect = [httpx.Response(200, json=old)]
    async with FhirEpr("trust", BASE) as epr:
        assert [await epr.capability() for _ in range(3)] == [old] * 3
