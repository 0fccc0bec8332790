"""Where the folders are that ship beside the code.

`mappings/` and `profiles/` lie at the top of the checkout, where people who are no programmers find them. A wheel
carries them inside the package, so that an installed fhirbridge works on its own; an editable install reads the
checkout itself. Packs and letters lie inside the package in both cases.
"""

from pathlib import Path
from typing import Literal

from fhirbridge.errors import ConfigurationError

PACKAGE = Path(__file__).parent


def folder(name: Literal["mappings", "profiles", "packs", "letters"], package: Path = PACKAGE) -> Path:
    """Find the folder `name` of the installation whose package lies at `package`.

    Raises:
        ConfigurationError: The installation is incomplete.
    """
    candidates = (package / name, package / "_data" / name, package.parents[1] / name)
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    raise ConfigurationError(
        f"{name}/ is missing from the installation at {package}: install fhirbridge again, from a wheel or a checkout"
    )
