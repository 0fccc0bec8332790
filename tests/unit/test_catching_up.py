"""What may have been missed is read from some time before the subscription was last seen active."""

from datetime import UTC, datetime, timedelta
from typing import cast

from fhirbridge.adapters.feeds.rest_hook import Standing, Watch
from fhirbridge.adapters.memory_store import MemoryStore
from fhirbridge.service import Service
from fhirbridge.settings import Settings
from fhirbridge.wiring.eprs import SystemClock
from fhirbridge.wiring.service import Runtime, catch_up

SEEN = datetime(2026, 3, 2, 10, tzinfo=UTC)


class Asked:
    """Stands for the service: remembers from when it was asked to catch up."""

    since: datetime | None = None

    async def catch_up(self, epr: str, kind: str, since: datetime) -> int:
        self.since = since
        return 0


async def test_the_reading_overlaps_by_what_the_settings_say() -> None:
    asked = Asked()
    settings = Settings(eprs={}, overlap=90)
    runtime = Runtime(settings=settings, service=cast(Service, asked), store=MemoryStore(), clock=SystemClock())
    one = Watch(type="Task", standing=Standing.ACTIVE, reference="Subscription/s", gap_since=SEEN)

    await catch_up(runtime, "main", one)

    assert asked.since == SEEN - timedelta(seconds=90)
