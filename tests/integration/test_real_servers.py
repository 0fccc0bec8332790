"""The servers that other tests build on are the real thing and reachable the way the service reaches them."""

import redis
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine


async def test_postgres_answers_over_psycopg(postgres_url: str) -> None:
    engine = create_async_engine(postgres_url)
    async with engine.connect() as connection:
        version = await connection.scalar(sa.text("select version()"))
    await engine.dispose()

    assert isinstance(version, str)
    assert version.startswith("PostgreSQL ")


def test_valkey_answers_over_redis(valkey_url: str) -> None:
    with redis.Redis.from_url(valkey_url) as client:
        assert client.ping()
        assert client.info("server")["server_name"] == "valkey"
