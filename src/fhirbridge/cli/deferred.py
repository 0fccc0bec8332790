"""Commands whose modules are imported when they are called, so that each pays for its own libraries alone.

The help of the application needs only a line for each command; that line is kept here beside its name, and a test holds
it to what the command itself says.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from fhirbridge.cli.output import Commands


class Deferred(TyperCommand):
    """Stands for a command, or a group of them, in a module that is not imported yet."""

    def __init__(self, name: str, module: str, help_: str) -> None:
        super().__init__(name, help=help_)
        self._module = module

    def loaded(self) -> Any:
        """The command itself: the function or the Typer application of that name in the module."""
        found = getattr(import_module(self._module), self.name or "")
        if isinstance(found, typer.Typer):
            return get_command(found)
        alone = typer.Typer(add_completion=False)
        alone.command(self.name)(found)
        return get_command(alone)

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Hand over to the command itself."""
        return self.loaded().make_context(info_name, args, parent=parent, **extra)


COMMANDS = (
    Deferred("serve", "fhirbridge.cli.serve", "Take notifications and write what the policy asks for."),
    Deferred("worker", "fhirbridge.cli.serve", "Work for a service that is scaled out."),
    Deferred("doctor", "fhirbridge.cli.doctor", "Check each EPR: how feeds and writes are done there."),
    Deferred("backfill", "fhirbridge.cli.backfill", "Load the record that was there before the service."),
    Deferred("demo", "fhirbridge.cli.demo", "Play a few weeks of a sample caseload against a sample EPR."),
    Deferred("simulate", "fhirbridge.cli.simulate", "Show what would have been written by an instant. Sends nothing."),
    Deferred("policy", "fhirbridge.cli.policy", "The policy packs."),
    Deferred("mapping", "fhirbridge.cli.mapping", "How the records of an EPR are read."),
    Deferred("letter", "fhirbridge.cli.letter", "Letters and notices, looked at before anybody gets one."),
    Deferred("loops", "fhirbridge.cli.loops", "Show what is held back because another system answers each write."),
    Deferred("report", "fhirbridge.cli.report", "Report what was due in a period, and what of it was done in time."),
    Deferred("replay", "fhirbridge.cli.replay", "Try again what EPRs refused, or show it."),
    Deferred("access", "fhirbridge.cli.access", "Who may look at what the service holds, and who did."),
)
"""In the order in which the help lists them."""

OF_POLICY = (
    Deferred("diff", "fhirbridge.cli.diff", "Show who would get what instead under another pack. Writes nothing."),
    Deferred("lint", "fhirbridge.cli.policy_lint", "Find what is wrong with packs before a patient meets it."),
    Deferred("migrate", "fhirbridge.cli.migrate", "Move running pathways to the edition of their pack now in force."),
)
"""Those of the group `policy` that need more than a pack."""

OF_MAPPING = (Deferred("apply", "fhirbridge.cli.mapping_apply", "Read again what is kept, with a changed mapping."),)
"""Those of the group `mapping` that need more than a mapping."""


class AllCommands(Commands):
    """Every command of the application, none of them imported yet."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for command in COMMANDS:
            self.add_command(command)


class PolicyCommands(TyperGroup):
    """The commands of the group `policy`."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for command in OF_POLICY:
            self.add_command(command)


class MappingCommands(TyperGroup):
    """The commands of the group `mapping`."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for command in OF_MAPPING:
            self.add_command(command)
