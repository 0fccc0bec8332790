"""How long a server wants to be left alone."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import httpx


def retry_after(response: httpx.Response) -> float | None:
    """Seconds that the server wants to be left alone (RFC 9110 section 10.2.3).

    A date is taken relative to the answer's own Date, so that a clock that differs from ours does no harm.
    """
    wish = response.headers.get("Retry-After", "").strip()
    if wish.isdigit():
        return float(wish)
    try:
        wait = parsedate_to_datetime(wish) - parsedate_to_datetime(response.headers["Date"])
    except (KeyError, ValueError, TypeError):
        return None
    return max(0.0, wait.total_seconds())
