from pathlib import Path

import pytest

from fhirbridge import __version__, shipped
from fhirbridge.errors import ConfigurationError


def test_the_version_is_that_of_the_distribution() -> None:
    assert __version__.count(".") == 2


@pytest.mark.parametrize("name", ["mappings", "profiles", "packs", "letters"])
def test_this_installation_is_complete(name: str) -> None:
    assert any(shipped.folder(name).iterdir())  # type: ignore[arg-type]  # the parameters are the literals


def test_a_wheel_carries_the_folders_inside_the_package(tmp_path: Path) -> None:
    package = tmp_path / "site-packages" / "fhirbridge"
    (package / "_data" / "mappings").mkdir(parents=True)

    assert shipped.folder("mappings", package) == package / "_data" / "mappings"


def test_a_checkout_has_them_at_its_top(tmp_path: Path) -> None:
    package = tmp_path / "src" / "fhirbridge"
    package.mkdir(parents=True)
    (tmp_path / "mappings").mkdir()

    assert shipped.folder("mappings", package) == tmp_path / "mappings"


def test_an_incomplete_installation_says_what_is_missing_and_what_to_do(tmp_path: Path) -> None:
    package = tmp_path / "lib" / "fhirbridge"

    with pytest.raises(ConfigurationError, match=r"profiles/ is missing .* install fhirbridge again"):
        shipped.folder("profiles", package)
