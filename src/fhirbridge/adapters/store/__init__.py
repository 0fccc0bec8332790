"""The durable store, in SQLite (embedded, WAL mode) or PostgreSQL (scaled out).

The database is the truth: what was acknowledged is a committed row. Two numbers on each subject's row keep concurrent
work honest without long transactions. `news` counts the times that new versions arrived: a decision that did not see
the last of them leaves the timer due. `turn` counts leases and commits: a decision made before somebody else's turn
is refused, so nothing is ever written twice, even by a worker that was thought dead.
"""

from fhirbridge.adapters.store.existing import existing_store as existing_store
from fhirbridge.adapters.store.sql_store import SqlStore as SqlStore
from fhirbridge.adapters.store.sql_store import open_store as open_store
