"""The yardstick: DuckDB reads the same files and only counts consecutive misses."""

from __future__ import annotations

import time
from pathlib import Path

import duckdb

_QUERY = """
with versions as (
    select id, status, "start", participant[1].actor.reference as patient, meta.versionId::int as version
    from read_json(?, format = 'newline_delimited', columns = {
        resourceType: 'VARCHAR', id: 'VARCHAR', status: 'VARCHAR', "start": 'VARCHAR',
        meta: 'STRUCT(versionId VARCHAR)', participant: 'STRUCT(actor STRUCT(reference VARCHAR))[]'
    })
    where resourceType = 'Appointment'
),
latest as (select * from versions qualify row_number() over (partition by id order by version desc) = 1),
spells as (
    select patient, status,
        sum((status = 'fulfilled')::int) over (
            partition by patient order by "start", id rows unbounded preceding
        ) as spell
    from latest where status in ('fulfilled', 'noshow')
),
counts as (select patient, spell, count(*) filter (status = 'noshow') as missed from spells group by all)
select count(*) from counts where missed >= 2
"""


def count(folder: Path, threads: int) -> tuple[int, float]:
    """How often somebody missed two in a row, and the seconds it took."""
    with duckdb.connect(config={"threads": threads}) as connection:
        start = time.perf_counter()
        row = connection.execute(_QUERY, [str(folder / "*.ndjson")]).fetchone()
        return int(row[0]) if row else 0, time.perf_counter() - start
