"""Real servers for the contract suites."""

from tests.servers.postgres import postgres_url as postgres_url
from tests.servers.sekmet import sekmet_url as sekmet_url
