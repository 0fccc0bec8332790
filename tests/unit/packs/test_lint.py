"""Each kind of finding is found, at its line, and nothing is found in what is right."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fhirbridge.packs.lint import Flaw, lint
from fhirbridge.packs.loading import pack_path, shipped_packs

Linted = Callable[..., list[Flaw]]

STEP = """\
      - id: example-more
        title: More
        when: {when}
        {other}
        do:
          - {{task: crisis-plan, to: team-manager, due: $soon}}
"""
PATHWAY = """\
  - id: other
    title: Another
    clause: "2"
    {head}
    steps:
      - id: example-other
        title: Other
        when: {when}
        {other}
        do:
          - {act}
"""
TASK = "{task: crisis-plan, to: team-manager, due: $soon}"


def step(when: str, other: str = "") -> str:
    return STEP.format(when=when, other=other)


def pathway(head: str, when: str = "start", act: str = TASK, other: str = "") -> str:
    return PATHWAY.format(head=head, when=when, act=act, other=other)


def whats(flaws: list[Flaw]) -> list[str]:
    return [flaw.what for flaw in flaws]


@pytest.mark.parametrize("name", shipped_packs())
def test_what_ships_is_clean(name: str) -> None:
    assert lint(pack_path(name)) == []


def test_a_pack_that_is_right_has_no_findings(linted: Linted) -> None:
    more = step("{reached: example-write, not: {signal: risk}}") + pathway("starts: {running: missed}")

    assert linted(more=more) == []


def test_a_finding_names_file_line_step_and_remedy(linted: Linted, tmp_path: Path) -> None:
    (flaw,) = linted(more=step("{passed: {time: P3D}}"))

    line = (tmp_path / "example.yaml").read_text(encoding="utf-8").splitlines().index("      - id: example-more") + 1
    assert flaw == Flaw(
        f"{tmp_path / 'example.yaml'}:{line + 2}",
        "example-more",
        "time is P3D, which no trust can change",
        "Give it a name and bounds under 'settings', and write $name here.",
    )


def test_what_cannot_be_read_is_one_finding_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "example.yaml"
    file.write_text("pack: example\nversion: 1.0.0\npathwys: []\n", encoding="utf-8")

    (flaw,) = lint(file)

    assert flaw.place.startswith(f"{file}:")
    assert "pathwys" in flaw.what


def test_what_compiling_refuses_is_found_at_its_step(linted: Linted) -> None:
    (flaw,) = linted(more=step("{reached: example-nowhere}"))

    assert flaw.step == "example-more"
    assert "example-nowhere" in flaw.what
    assert flaw.place.endswith(":24")


@pytest.mark.parametrize(
    ("act", "found"),
    [
        ("{task: contact-patent, to: team-manager, due: $soon}", "'contact-patent' is no action that anybody knows"),
        ("{task: crisis-plan, to: team-boss, due: $soon}", "'team-boss' is no role that anybody knows"),
        ("{task: crisis-plan, to: [team-manager, chef], due: $soon}", "'chef' is no role that anybody knows"),
        ("{task: crisis-plan, to: team-manager, due: P1W}", "due is P1W, which no trust can change"),
        (
            "{communication: contact-us-letter, to: patient, says: Within three weeks.}",
            "the text says 'three weeks', which would stay when a setting is changed",
        ),
        (
            "{communication: contact-us-letter, to: patient, reply-within: P2D}",
            "reply-within is P2D, which no trust can change",
        ),
    ],
)
def test_codes_and_numbers_of_acts(linted: Linted, act: str, found: str) -> None:
    assert whats(linted(more=pathway("starts: {missed: {}}", act=act))) == [found]


def test_the_remedy_for_an_unknown_code_names_what_is_near(linted: Linted) -> None:
    act = "{task: contact-patent, to: team-manager, due: $soon}"
    (flaw,) = linted(more=pathway("starts: {missed: {}}", act=act))

    assert "contact-patient" in flaw.remedy


@pytest.mark.parametrize(
    ("when", "found"),
    [
        ("{referral: [urgant]}", "'urgant' is no priority that anybody knows"),
        ("{contact: {without: [cheerful]}}", "'cheerful' is no outcome that anybody knows"),
        ("{missed: {consecutive: 3}}", "consecutive is 3, which no trust can change"),
        ("{outcome: {of: example-call, is: done, action: shout}}", "'shout' is no action that anybody knows"),
    ],
)
def test_codes_and_numbers_of_conditions(linted: Linted, when: str, found: str) -> None:
    assert found in whats(linted(more=step(when)))


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ("  idle: {default: P1D, min: P1D, max: P2D, title: Idle}", "no condition, deadline or text uses the setting"),
        ("  soon: {default: 1WD, min: 1WD, max: 5WD, title: Again}", "'soon' stands here twice; only the last counts"),
        ("  idle: {default: P1D, min: P1D, max: P2D, title: Time to act}", "'idle' and 'soon' have the same title"),
        (
            "  idle: {default: P2D, min: P3D, max: P1D, title: Idle}",
            "its lower bound P3D lies above its upper bound P1D",
        ),
        ("  idle: {default: P9D, min: P1D, max: P3D, title: Idle}", "its default P9D lies outside P1D to P3D"),
        ("  idle: {default: 2, min: P1D, max: P3D, title: Idle}", "a number and a period are compared"),
        ("  idle: {default: 2, min: 2, max: 2, title: Idle}", "its bounds leave nothing to change"),
        ("  idle: {default: soon, min: P1D, max: P3D, title: Idle}", "is no period"),
    ],
)
def test_settings(linted: Linted, settings: str, found: str) -> None:
    assert any(found in what for what in whats(linted(settings=settings)))


def test_the_hours_of_a_service_are_used_by_a_role_for_out_of_hours(linted: Linted) -> None:
    opens = "  opens: {default: 9, min: 6, max: 12, title: Opens}"
    hours = f"{opens}\n  closes: {{default: 17, min: 14, max: 22, title: Closes}}"
    act = "{task: crisis-plan, to: team-manager, due: $soon, out-of-hours: on-call-manager}"

    assert whats(linted(settings=opens)) == ["no condition, deadline or text uses the setting 'opens'"]
    assert linted(settings=hours, more=pathway("starts: {missed: {}}", act=act)) == []


def test_a_step_without_a_clause(linted: Linted) -> None:
    more = pathway("starts: {missed: {}}").replace('    clause: "2"\n', "")

    assert whats(linted(more=more)) == ["the step cites no clause"]


def test_a_care_plan_that_nothing_ends(linted: Linted) -> None:
    plan = "{care-plan: crisis-plan}"
    head = "once-per: discharge\n    starts: {signal: risk}"

    assert "nothing ends the care plan 'crisis-plan'" in whats(linted(more=pathway(head, act=plan)))[0]
    assert linted(more=pathway(head, act=plan, other="until: {on-record: crisis-plan}")) == []
    assert linted(more=pathway(head, act=plan, other="stands: true")) == []
    assert linted(more=pathway("starts: {missed: {}}", act=plan)) == []


def test_a_recurrence_that_nothing_ends(linted: Linted) -> None:
    head = "once-per: discharge\n    starts: {signal: risk}"

    assert "nothing ends the recurrence" in whats(linted(more=pathway(head, other="every: {period: $soon}")))[0]
    assert linted(more=pathway("starts: {missed: {}}", other="every: {period: $soon}")) == []


NEVER_ASKED = {
    "a condition and its contrary": "{signal: risk, not: {signal: risk}}",
    "the contrary of one of several": "{signal: risk, not: {any: [{signal: risk}, {child: true}]}}",
    "true and false": "{all: [{child: true}, {child: false}]}",
    "two risks at once": "{all: [{risk: none}, {risk: [identified, unknown]}]}",
    "only impossible alternatives": "{any: [{overdue: true}, {signal: risk, not: {signal: risk}}]}",
    "an answer to a letter": "{outcome: {of: example-write, is: done}}",
    "an answer to a task that the step has not": "{outcome: {of: example-call, is: done, action: crisis-plan}}",
    "a task that was sent": "{sent: {of: example-call}}",
    "an overdue task beside a spell": "{overdue: true}",
    "a discharge within a spell": "{disengaged: missed}",
}


@pytest.mark.parametrize("when", NEVER_ASKED.values(), ids=NEVER_ASKED.keys())
def test_a_step_that_is_never_asked_for(linted: Linted, when: str) -> None:
    (flaw,) = linted(more=step(when))

    assert flaw.step == "example-more"
    assert flaw.what.startswith("the step is never asked for: ")


MAY_BE_ASKED = {
    "contrary in another alternative": "{any: [{signal: risk}, {not: {signal: risk}}]}",
    "risk may change": "{all: [{risk: [none, unknown]}, {risk: unknown}]}",
    "one of two steps has a task": "{outcome: {of: [example-call, example-write], is: failed}}",
    "an alternative remains": "{any: [{overdue: true}, {child: true}]}",
    "the contrary of more than is known": "{signal: risk, not: {all: [{signal: risk}, {child: true}]}}",
    "nothing is overdue": "{overdue: false}",
}


@pytest.mark.parametrize("when", MAY_BE_ASKED.values(), ids=MAY_BE_ASKED.keys())
def test_a_step_that_may_be_asked_for(linted: Linted, when: str) -> None:
    assert linted(more=step(when)) == []


def test_what_waits_for_a_step_that_is_never_asked_for_is_never_asked_for_either(linted: Linted) -> None:
    more = step("{overdue: true}") + step("{reached: example-more}").replace("id: example-more", "id: example-last")

    assert [flaw.step for flaw in linted(more=more)] == ["example-more", "example-last"]


def test_whether_the_patient_had_been_seen_stays_as_it_was_at_the_start(linted: Linted) -> None:
    starts = "starts: {missed: {}, in-receipt: false}"

    assert "in-receipt both true and false" in whats(linted(starts=starts, more=step("{in-receipt: true}")))[0]


def test_what_ends_a_step_has_to_be_possible(linted: Linted) -> None:
    assert whats(linted(more=step("start", other="until: {overdue: true}")))[0].startswith("what ends the step never")


NEVER_STARTS = {
    "a miss outside a spell": "once-per: episode\n    starts: {missed: {}}",
    "a booking before there is a run": "starts: {missed: {}, booked: true}",
    "another pathway, seen from an episode": "once-per: episode\n    starts: {running: missed}",
}


@pytest.mark.parametrize("head", NEVER_STARTS.values(), ids=NEVER_STARTS.keys())
def test_a_pathway_that_never_starts_is_told_once(linted: Linted, head: str) -> None:
    (flaw,) = linted(more=pathway(head))

    assert flaw.step == "other"
    assert flaw.what.startswith("the pathway never starts: ")


def test_of_one_group_a_pathway_may_not_stand_behind_one_that_starts_whenever_it_would(linted: Linted) -> None:
    grouped = "group: one\n    starts: {missed: {}}"
    narrower = pathway("group: one\n    starts: {missed: {}, child: true}")

    assert "stands before it in the group" in whats(linted(starts=grouped, more=narrower))[0]
    assert linted(starts=grouped.replace("missed: {}", "missed: {}, signal: risk"), more=narrower) == []


def test_pathways_of_one_group_never_see_one_another(linted: Linted) -> None:
    grouped = "group: one\n    starts: {missed: {}, signal: risk}"
    sibling = pathway("group: one\n    starts: {missed: {}}", when="{reached: example-call}")

    assert "both are in the group 'one'" in whats(linted(starts=grouped, more=sibling))[0]
