"""What every test over HTTP shares."""

import pytest

from fhirbridge.access import admitting, hashed


@pytest.fixture(autouse=True)
def _nobody_is_quickly_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The people of these tests have cheap hashes too; that nobody's is as costly as theirs, test_access shows."""
    monkeypatch.setattr(admitting, "_NOBODY", hashed("of nobody", b"0123456789abcdef", n=2**10))
