from typer.testing import CliRunner

from fhirbridge import __version__
from fhirbridge.cli import app


def test_version() -> None:
    result = CliRunner().invoke(app, ["--version"])

    assert (result.exit_code, result.stdout) == (0, f"{__version__}\n")
