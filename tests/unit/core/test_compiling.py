"""Whatever is wrong in a pack is found before the first patient, and the message names the step and the remedy."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from fhirbridge.core.authoring import PackFile
from fhirbridge.core.calendar import Calendar
from fhirbridge.core.compiling import compile_pack
from fhirbridge.core.policy import Pack
from fhirbridge.errors import ConfigurationError
from fhirbridge.packs.loading import load_pack, shipped_packs


def step(name: str = "x-contact", **changes: Any) -> dict[str, Any]:
    act = {"task": "contact-patient", "to": "care-coordinator", "due": "P1D"}
    return {"id": name, "title": "Contact the patient", "when": "start", "do": [act]} | changes


def act(**changes: Any) -> dict[str, Any]:
    written = {"task": "contact-patient", "to": "care-coordinator", "due": "P1D"} | changes
    return step(do=[{name: value for name, value in written.items() if value is not None}])


def compiled(*steps: dict[str, Any], starts: dict[str, Any] | None = None, **overrides: str | int) -> Pack:
    pathway = {"id": "way", "title": "A pathway", "starts": starts or {"missed": {}}, "steps": list(steps)}
    written = {
        "pack": "x",
        "version": "1",
        "title": "A pack",
        "source": {"title": "A policy"},
        "settings": {"reply": {"default": "P3W", "min": "P2W", "max": "P6W", "title": "Time for a reply"}},
        "pathways": [pathway],
    }
    return compile_pack(msgspec.convert(written, PackFile), calendar=Calendar(), overrides=overrides)


def test_a_sound_pack_compiles() -> None:
    (pathway,) = compiled(step(), step("x-letter", when={"outcome": {"of": "x-contact", "is": "failed"}})).pathways
    assert [(one.id, one.row, one.order) for one in pathway.steps] == [
        ("x-contact", "x-contact", 0),
        ("x-letter", "x-letter", 1),
    ]


@pytest.mark.parametrize(
    ("wrong", "where", "what"),
    [
        (step(when={}), "x · way · x-contact", "a condition is empty; say what must hold, or write 'when: start'"),
        (step(when={"signal": "riks"}), "x · way · x-contact", "'riks' is no signal; use one of agency-linked, "),
        (step(when={"risk": "low"}), "x · way · x-contact", "'low' is no risk; use one of contradictory, "),
        (step(when={"setting": "ward"}), "x · way · x-contact", "'ward' is no setting; use one of community, "),
        (
            step(when={"outcome": {"of": "x-later", "is": "failed"}}),
            "x · way · x-contact",
            "refers to the step 'x-later', which does not stand before it",
        ),
        (step(when={"reached": "x-later"}), "x · way · x-contact", "'x-later', which does not stand before it"),
        (step(when={"running": "other"}), "x · way · x-contact", "the pathway 'other', which does not stand before it"),
        (step(when={"passed": {"time": "$wait"}}), "x · way · x-contact", "$wait names no setting of the pack; add it"),
        (step(when={"passed": {"time": "soon"}}), "", "'soon' is no period: write PT24H, P1D, P3W, P1M, 2WD"),
        (step(when={"missed": {"consecutive": "two"}}), "x · way · x-contact", "'two' has to be a whole number"),
        (act(due="$wait"), "x · way · x-contact", "$wait names no setting of the pack; add it under 'settings'"),
        (act(due="soon"), "", "'soon' is no period"),
        (act(due=None), "x · way · x-contact", "contact-patient: a task needs 'due', nothing else has one"),
        (act(to=None), "x · way · x-contact", "contact-patient: a task or communication needs 'to'"),
        (act(task=None, flag="risk-flag", due=None), "x · way · x-contact", "a flag or care-plan has none"),
        (act(flag="risk-flag"), "x · way · x-contact", "exactly one of task, communication, flag, care-plan"),
        (act(task=None), "x · way · x-contact", "exactly one of task, communication, flag, care-plan"),
        (
            act(says="Within {wait}."),
            "x · way · x-contact",
            "the text uses {wait}, which is neither a setting nor one of",
        ),
        (
            act(**{"out-of-hours": "on-call-manager"}),
            "x · way · x-contact",
            "'out-of-hours' needs the settings 'opens' and 'closes', the hours the service is staffed; add both",
        ),
    ],
)
def test_a_wrong_step_is_refused_by_name(wrong: dict[str, Any], where: str, what: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        compiled(wrong)
    assert what in str(refused.value)
    assert str(refused.value).startswith(where)


def test_two_steps_need_two_names() -> None:
    with pytest.raises(
        ConfigurationError, match="x · way · x-contact: two steps have the id 'x-contact'; add a suffix"
    ):
        compiled(step(), step())


def test_a_pathway_that_starts_wrongly_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match=r"^x · way: 'riks' is no signal"):
        compiled(step(), starts={"signal": "riks"})


def test_a_setting_may_be_changed_within_its_bounds() -> None:
    assert compiled(step(), reply="P4W").settings == {"reply": "P4W"}
    with pytest.raises(ConfigurationError, match="reply is P1W, but must lie between P2W and P6W"):
        compiled(step(), reply="P1W")
    with pytest.raises(ConfigurationError, match="'answer' is no setting of this pack; it has: reply"):
        compiled(step(), answer="P3W")


# --- from files ---------------------------------------------------------------------------------

SOUND = """\
pack: x
version: 1.0.0
title: A pack
source: {title: A policy}
settings: {}
pathways:
  - id: way
    title: A pathway
    starts: {missed: {}}
    steps:
      - id: x-contact
        title: Contact the patient
        when: start
        do:
          - {task: contact-patient, to: care-coordinator, due: P1D}
"""


def loaded(folder: Path, text: str) -> Pack:
    file = folder / "x.yaml"
    file.write_text(text, encoding="utf-8")
    return load_pack(str(file), calendar=Calendar())


def test_a_sound_file_loads(tmp_path: Path) -> None:
    assert loaded(tmp_path, SOUND).name == "x"


@pytest.mark.parametrize(
    ("before", "after", "line", "what"),
    [
        ("title: A pack", "title: [A pack", 4, "no YAML"),
        ("version: 1.0.0\n", "", 1, "missing required field `version`"),
        ("        when: start", "        when: start\n        whenever: x", 11, "whenever"),
        ("missed: {}", "missed: yes", 9, "missed"),
        ("to: care-coordinator, due: P1D", "to: care-coordinator", 11, "a task needs 'due'"),
        ("missed: {}", "signal: riks", 7, "'riks' is no signal"),
    ],
)
def test_a_wrong_file_is_refused_by_file_and_line(
    tmp_path: Path, before: str, after: str, line: int, what: str
) -> None:
    assert before in SOUND
    with pytest.raises(ConfigurationError) as refused:
        loaded(tmp_path, SOUND.replace(before, after))
    assert str(refused.value).startswith(f"{tmp_path / 'x.yaml'}:{line}: ")
    assert what in str(refused.value)


def test_a_pack_that_does_not_exist_is_answered_with_those_that_do() -> None:
    with pytest.raises(ConfigurationError, match=f"there is no pack 'y'; shipped are: .*{shipped_packs()[0]}"):
        load_pack("y", calendar=Calendar())


@pytest.mark.parametrize("name", shipped_packs())
def test_every_pack_that_ships_loads(name: str) -> None:
    pack = load_pack(name, calendar=Calendar())
    assert pack.name == name
    assert pack.canonical.endswith(f"/PlanDefinition/{name}|{pack.version}")
