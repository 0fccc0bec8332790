"""Every condition has its sentence and the contrary of it."""

import msgspec
import pytest
from msgspec.structs import fields

from fhirbridge.core.authored_conditions import When
from fhirbridge.core.authoring import Act, PackFile, Pathway, Setting, SourceDocument, Step
from fhirbridge.core.codes import ACTIONS, ROLES, display
from fhirbridge.core.sayings import SAYINGS
from fhirbridge.core.sentences import Joined, Sentences, said

CALL = Step(id="call", title="Call", when="start", do=(Act(task="contact-patient", to="gp", due="$soon"),))
PACK = PackFile(
    pack="example",
    version="1.0.0",
    title="An example",
    source=SourceDocument(title="A policy"),
    settings={
        "soon": Setting(default="2WD", min="1WD", max="5WD", title="Soon"),
        "misses": Setting(default=3, min=1, max=5, title="Misses"),
    },
    texts={"help-lines": "Somebody to call"},
    pathways=(Pathway(id="missed", title="Did not come", starts=When(signal="risk"), steps=(CALL,)),),
)
VOICE = Sentences(PACK)


def when(**written: object) -> When:
    return msgspec.convert({name.replace("_", "-").rstrip("-"): value for name, value in written.items()}, When)


def test_every_kind_of_condition_has_its_saying() -> None:
    assert {each.name for each in fields(When)} - {"all", "any", "not_"} == set(SAYINGS)


SENTENCES = [
    (when(missed={}), "an appointment is missed"),
    (when(missed={"consecutive": "$misses"}), "three appointments in a row are missed"),
    (when(in_receipt=False), "the patient has not been seen in this episode yet"),
    (when(signal=["risk", "immediate-risk"]), "the record carries the signal “risk” or “immediate risk”"),
    (when(risk=["none"]), "the absence of risk is on record"),
    (when(outcome={"of": "call", "is": "failed"}), "“Call” was answered in vain, or not in time"),
    (
        when(outcome={"of": "call", "is": ["done", "goals-met", "declined"], "action": "contact-patient"}),
        "the task “contact patient” of “Call” was done or came to “goals met” or “declined”",
    ),
    (when(sent={"of": "call", "ago": "$soon"}), "“Call” was sent two working days ago, without contact since"),
    (when(passed={"time": "P1W"}), "one week has passed since the missed appointment without contact"),
    (when(running="missed"), "the pathway “Did not come” is running"),
    (when(contact={"or-attended": True}), "the patient is back in contact or attends"),
    (
        when(child=True, booked=True),
        "a child is in the patient's care or in contact with them; and a new appointment is booked",
    ),
    (when(not_={"child": True}), "no child is on record"),
    (when(not_={"any": [{"child": True}, {"booked": True}]}), "no child is on record and no new appointment is booked"),
    (
        when(ran_before=True, any=[{"overdue": True}, {"first-booked": True}]),
        "a pathway ran in an earlier episode; and either a task has passed its due date undone or the first "
        "appointment is booked",
    ),
    (
        when(not_={"risk": ["identified", "unknown"]}),
        "the absence of risk is on record or the record of risk contradicts itself",
    ),
]


@pytest.mark.parametrize(("condition", "sentence"), SENTENCES, ids=[sentence for _, sentence in SENTENCES])
def test_conditions_are_said_in_english(condition: When, sentence: str) -> None:
    assert said(VOICE.condition(condition)) == sentence


def test_beside_lines_that_lead_from_a_step_the_step_is_not_named() -> None:
    brief = Sentences(PACK, brief=True)

    assert said(brief.condition(when(outcome={"of": "call", "is": "done"}))) == "it was done"


def test_a_phrase_keeps_its_parts_apart_for_a_list() -> None:
    phrase = VOICE.condition(when(child=True, any=[{"booked": True}, {"overdue": True}]))

    assert isinstance(phrase, Joined)
    assert (phrase.word, len(phrase.parts)) == ("and", 2)


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (Act(task="check-in", due="$soon"), "within two working days"),
        (Act(task="check-in", due="same day"), "by the end of the day"),
        (Act(task="check-in", due="PT2H", due_from="start"), "within two hours of the start of the pathway"),
        (
            Act(task="check-in", due="P2W", due_by="first-appointment"),
            "by the first appointment, else within two weeks",
        ),
        (Act(flag="low-attendance"), ""),
    ],
)
def test_deadlines_are_said_in_english(act: Act, words: str) -> None:
    assert VOICE.deadline(act) == words


def test_placeholders_of_a_text_are_filled_or_named() -> None:
    text = "Missed on {missed}: {soon}, {misses} times, {help-lines}; {last-session}."

    assert VOICE.text(text) == (
        "Missed on [day of the missed appointment]: two working days, 3 times, Somebody to call; [last session]."
    )


def test_what_a_pathway_is_anchored_on_is_part_of_its_start() -> None:
    concern = Pathway(
        id="x", title="X", starts=when(episode="active"), steps=(), once_per="signal", signals=("capacity-doubt",)
    )

    assert said(VOICE.start(concern)) == "the record carries the signal “capacity doubt” and the episode is active"


def test_codes_are_shown_with_their_abbreviations() -> None:
    assert display("arrange-mdtm") == "Arrange MDTM"
    assert display("child-gp") == "Child GP"


@pytest.mark.parametrize("meanings", [ACTIONS, ROLES], ids=["actions", "roles"])
def test_every_code_has_a_meaning_in_a_line_of_its_own(meanings: dict[str, str]) -> None:
    assert len(set(meanings.values())) == len(meanings)
    assert all(meaning[0].isupper() and meaning[-1] not in ".!" for meaning in meanings.values())


def test_a_condition_without_a_saying_is_told_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(SAYINGS, "ran_before")
    monkeypatch.delitem(SAYINGS, "missed_of_last")

    assert said(VOICE.condition(when(ran_before=False))) == "not ran before"
    assert said(VOICE.condition(when(missed_of_last={"count": 2, "of": 4}))) == 'missed of last: {"count":2,"of":4}'
