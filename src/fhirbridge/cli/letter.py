"""`letter`: what is sent to people, looked at before anybody gets it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from fhirbridge.cli.output import FOUND, say
from fhirbridge.core.authoring import Act
from fhirbridge.core.calendar import spoken
from fhirbridge.core.wording import several
from fhirbridge.errors import ConfigurationError, NotKnown
from fhirbridge.letters import Letterhead, Stationery, png, typeset
from fhirbridge.letters.audiences import is_letter
from fhirbridge.letters.sample import MESSAGE, sample
from fhirbridge.letters.templates import load_templates
from fhirbridge.packs.loading import pack_path, read_pack, shipped_packs
from fhirbridge.settings import Settings, read_settings
from fhirbridge.wiring.letters import lint_letters, stationery_of
from fhirbridge.wiring.policies import calendar_of, pack_of

letter = typer.Typer(
    name="letter",
    no_args_is_help=True,
    add_completion=False,
    help="Letters and notices, looked at before anybody gets one.",
)

_SAMPLE = Letterhead(
    name="Sample Trust",
    address=("Sample Centre", "1 Sample Road", "Sampleton", "ZZ99 3VZ"),
    phone="01632 960001",
    hours="Monday to Friday, 9am to 5pm",
    crisis_phone="0808 157 0001",
    email="team@example.nhs.uk",
    return_address=("PO Box 1", "Sampleton ZZ99 3VZ"),
    signatory="The team",
)
_DATES = {"missed": "Monday 2 March 2026 and Monday 9 March 2026", "due": "Friday 20 March 2026 at 10:00"}

Config = Annotated[Path | None, typer.Option(metavar="FILE", help="Settings with the letterhead (TOML or YAML).")]


@letter.command("list")
def list_() -> None:
    """Name every letter that the packs which ship can send, with whom it goes to."""
    for action, role in sorted({(action, role) for action, role, _ in _sent()}):
        print(f"{action}\t{role}")


@letter.command()
def show(
    action: Annotated[str, typer.Argument(metavar="ACTION", help="Code of the action, as `letter list` names it.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="FILE.pdf, or FILE.png: a picture of each page.")],
    role: Annotated[str | None, typer.Option(metavar="ROLE", help="To this role; to the first if not said.")] = None,
    config: Config = None,
) -> None:
    """Write the letter of an action about nobody, as the trust's patients would get it."""
    settings = read_settings(config) if config else Settings()
    calendar = calendar_of(settings.zone, settings.holidays)
    stationery = stationery_of(settings, calendar) or Stationery(_SAMPLE, load_templates(), calendar)
    to, message = _found(action, role)
    made = sample(action, to, stationery, message)
    if out.suffix == ".pdf":
        _written(out, typeset(made))
    elif out.suffix == ".png":
        pages = png(made)
        for number, page in enumerate(pages, start=1):
            _written(out if len(pages) == 1 else out.with_stem(f"{out.stem}-{number}"), page)
    else:
        raise ConfigurationError("write FILE.pdf or FILE.png", place="--out")


@letter.command()
def check(config: Config = None) -> None:
    """Find what is wrong with letterhead, texts, logo and fonts before the first letter; exit status 1 if anything."""
    settings = read_settings(config)
    calendar = calendar_of(settings.zone, settings.holidays)
    of_services = (name for service in settings.services for name in service.packs)
    of_eprs = (name for epr in settings.eprs.values() for name in epr.packs)
    names = dict.fromkeys((*settings.packs, *of_services, *of_eprs))
    found = list(lint_letters(settings, [pack_of(name, settings, calendar) for name in names], calendar))
    for flaw in found:
        print(flaw)
    say(f"{len(found)} findings." if found else "Nothing found.")
    if found:
        sys.exit(FOUND)


def _sent() -> list[tuple[str, str, str]]:
    """Every letter of the packs that ship: action, role, and the message with made-up dates."""
    found = []
    for name in dict.fromkeys((*Settings().packs, *shipped_packs())):
        pack = read_pack(pack_path(name))
        values = {
            name: spoken(s.default) if isinstance(s.default, str) else str(s.default)
            for name, s in pack.settings.items()
        }
        words = _Words(_DATES | values | dict(pack.texts))
        for act in (act for pathway in pack.pathways for step in pathway.steps for act in step.do):
            found += [(act.communication or "", role, act.says.format_map(words)) for role in _roles(act)]
    return found


class _Words(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return f"({name})"


def _roles(act: Act) -> list[str]:
    return [role for role in several(act.to) if is_letter(role)] if act.communication else []


def _found(action: str, role: str | None) -> tuple[str, str]:
    known = [(to, message) for sent, to, message in _sent() if sent == action]
    known += [("gp", MESSAGE)] if action == "correction-notice" else []
    fitting = [one for one in known if role in (None, one[0])]
    if not fitting:
        others = sorted({to for to, _ in known}) or sorted({sent for sent, _, _ in _sent()})
        raise NotKnown(
            f"no letter of that kind; there are: {', '.join(others)}", place=role if known and role else action
        )
    return fitting[0]


def _written(file: Path, content: bytes) -> None:
    try:
        file.write_bytes(content)
    except OSError as error:
        raise ConfigurationError(f"cannot be written: {error.strerror}", place=str(file)) from None
    say(f"{file}: written.")
