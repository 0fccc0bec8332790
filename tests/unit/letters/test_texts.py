"""The words of letters: every letter of every policy has some, they are plain, and a wrong one is found by name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fhirbridge.core.codes import ROLES as KNOWN_ROLES
from fhirbridge.core.effects import Kind
from fhirbridge.errors import ConfigurationError
from fhirbridge.letters.audiences import ROLES, Audience, audience_of
from fhirbridge.letters.templates import flaws_of, load_templates
from fhirbridge.packs.loading import shipped_packs
from tests.shipped import shipped_pack
from tests.unit.letters.desk import STATIONERY

PACKS = [shipped_pack(name) for name in shipped_packs()]
COMMUNICATIONS = sorted(
    {
        (act.action, act.role, act.says)
        for pack in PACKS
        for pathway in pack.pathways
        for step in pathway.steps
        for act in step.acts
        if act.kind is Kind.COMMUNICATION
    }
)
UNEXPLAINED = re.compile(r"\b(MDTM?|DNA|CTO|MHA|CPN|IMP|EPR|FHIR|ODS|AMHP|CMHT)\b")


@pytest.mark.parametrize(("action", "role"), sorted({(action, role) for action, role, _ in COMMUNICATIONS}))
def test_whatever_a_policy_sends_has_a_text_for_its_reader(action: str, role: str) -> None:
    assert STATIONERY.templates.of(action, audience_of(role)).title


@pytest.mark.parametrize("role", sorted(KNOWN_ROLES))
def test_a_correction_can_go_to_everybody(role: str) -> None:
    assert STATIONERY.templates.of("correction-notice", audience_of(role)).title == "A correction to what we told you"


def test_every_role_with_an_audience_is_one_that_policies_can_name() -> None:
    assert set(ROLES) <= set(KNOWN_ROLES)


def test_services_around_a_child_get_their_notice_and_corrections_of_it_and_nothing_else() -> None:
    theirs = {
        action for action, template in STATIONERY.templates.by_action.items() if Audience.CHILD_SERVICES in template.to
    }
    assert theirs == {"child-services-notice", "correction-notice"}


@pytest.mark.parametrize("action", ["opt-in-letter", "discharge-letter", "signposting-letter", "contact-us-letter"])
@pytest.mark.parametrize("role", ["health-visitor", "school-nurse", "child-gp", "education"])
def test_no_letter_to_the_patient_can_be_written_to_them(action: str, role: str) -> None:
    with pytest.raises(ConfigurationError, match="is not written to child-services: it is for patient alone"):
        STATIONERY.templates.of(action, audience_of(role))


def words_of(action: str) -> str:
    template = STATIONERY.templates.by_action[action]
    said = [text for part in template.body for text in (part.heading, *part.says, *part.items)]
    return " ".join([template.title, *said])


@pytest.mark.parametrize("action", sorted(STATIONERY.templates.by_action))
def test_nothing_is_abbreviated_that_a_reader_may_not_know(action: str) -> None:
    sent = [says for sent, role, says in COMMUNICATIONS if sent == action]
    assert UNEXPLAINED.findall(" ".join([words_of(action), *sent])) == []


def test_an_abbreviation_would_be_found() -> None:
    assert UNEXPLAINED.findall("An MDTM is arranged, after a DNA.") == ["MDTM", "DNA"]


def grade(text: str) -> float:
    """Years of school that a text asks for (Flesch-Kincaid), with vowel groups for syllables."""
    sentences = [s for s in re.split(r"[.!?:;]+(?:\s|$)", text) if s.strip()]
    words = re.findall(r"[A-Za-z']+", text)
    syllables = sum(max(1, len(re.findall(r"[aeiouy]+", re.sub(r"e\b", "", word.lower())))) for word in words)
    return 0.39 * len(words) / len(sentences) + 11.8 * syllables / len(words) - 15.59


def test_the_measure_tells_plain_words_from_others() -> None:
    assert grade("Call us on the phone. We can help you.") < 3
    assert grade("Notwithstanding multidisciplinary considerations, disengagement necessitates escalation.") > 12


@pytest.mark.parametrize(
    ("action", "says"), sorted({(action, says) for action, role, says in COMMUNICATIONS if role == "patient"})
)
def test_letters_to_patients_ask_for_no_more_than_eight_years_of_school(action: str, says: str) -> None:
    written = re.sub(r"\{message\}", says, words_of(action))
    assert grade(re.sub(r"\{\w+\}", "Monday", written)) < 8


def own(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_a_trusts_own_text_goes_before_the_one_that_ships(tmp_path: Path) -> None:
    text = 'actions: [opt-in-letter]\nto: [patient]\ntitle: Ours\nbody: [{says: ["{message}"]}, {include: help-now}]\n'
    templates = load_templates(own(tmp_path, "opt-in-letter.yaml", text))
    assert templates.of("opt-in-letter", Audience.PATIENT).title == "Ours"
    assert templates.of("opt-in-letter", Audience.PATIENT).body[1].heading == "If you need help now"
    assert templates.of("discharge-letter", Audience.PATIENT).title == "Your care with us has ended"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('title: T\nbody: [{says: ["Dear {pateint}"]}]', "body, part 1: unknown field {pateint}; write one of message"),
        ('title: T\nbody: [{says: ["{patient.name}"]}]', "unknown field {patient.name}"),
        ('title: T\nbody: [{says: ["{patient!r}"]}]', "unknown field {patient!r}"),
        ('title: "Letter of {datum}"\nbody: []', "title: unknown field {datum}"),
        ('title: T\nbody: [{says: ["{"]}]', "body, part 1: .* double a brace"),
        ("title: T\nbody: [{include: helpnow}]", "body, part 1: include 'helpnow' is unknown; write .*help-now"),
        ("title: T\nbody: [{only: [everybody]}]", "Invalid enum value 'everybody'"),
        ("title: T", "missing required field `body`"),
        ("title: T\nbody: []\nfooter: x", "unknown field `footer`"),
        ("title: [T", "is no YAML"),
    ],
)
def test_a_wrong_text_is_found_by_file_and_place(tmp_path: Path, text: str, told: str) -> None:
    folder = own(tmp_path, "opt-in-letter.yaml", f"actions: [opt-in-letter]\nto: [patient]\n{text}\n")
    with pytest.raises(ConfigurationError, match=re.escape(f"{folder / 'opt-in-letter.yaml'}: ")) as raised:
        load_templates(folder)
    assert re.search(told.replace("{", r"\{"), str(raised.value))
    assert str(raised.value) in [str(flaw) for flaw in flaws_of(folder)]


def test_two_texts_for_one_action_are_refused(tmp_path: Path) -> None:
    text = "actions: [opt-in-letter, no-such-action]\nto: [patient]\ntitle: T\nbody: []\n"
    told = " ".join(str(flaw) for flaw in flaws_of(own(tmp_path, "another.yaml", text)))
    assert "'no-such-action' is no action" in told
    assert "'opt-in-letter' has a text in" in told


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert [str(flaw) for flaw in flaws_of(tmp_path / "none")] == [f"letters.texts: {tmp_path / 'none'} is no folder"]
