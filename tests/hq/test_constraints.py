"""Every check that the database makes itself, with an honest row that it lets in and those that it refuses.

The last layer below pages and services: it holds for whatever else writes into the database. Persons stand
as numbers here, for a check sees no more of them.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any, Final

import pytest
from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models import CheckConstraint, Model

pytestmark = pytest.mark.django_db

AT: Final = datetime.fromisoformat("2026-06-03T19:00:00+00:00")
SOON, DAY, SHA = AT + timedelta(days=1), date(2026, 6, 3), "a" * 64
ME, OTHER, THIRD, FOURTH = 1, 2, 3, 4
SIDES: Final = ("south", "west", "north", "east")

Fields = dict[str, Any]

APPROVED: Final[Fields] = {"approved_by": ME, "proposed_by": OTHER}
APPROVED_ALONE: Final[list[Fields]] = [{"proposed_by": ME}]
SIGNED: Final[Fields] = {"state": "cosigned", "proposed_by": ME, "approved_by": OTHER, "cosigned_by": THIRD}
NOT_TWICE: Final[list[Fields]] = [
    {"approved_by": None},
    {"cosigned_by": None},
    {"state": "done", "cosigned_by": None},
]
NOT_THREE: Final[list[Fields]] = [
    {"approved_by": ME, "cosigned_by": None},
    {"cosigned_by": ME},
    {"cosigned_by": OTHER},
]
FORBIDDEN: Final = ({"alarm_class": "sex_offender"}, [{"alarm_class": "immigration_violator"}])

CHECKS: Final[dict[str, tuple[Fields, list[Fields]]]] = {
    # Who signs is another person (430.2-d).
    "settings_not_approved_by_their_proposer": (APPROVED, APPROVED_ALONE),
    "account_not_approved_by_its_proposer": (APPROVED, APPROVED_ALONE),
    "nobody_appoints_themselves": ({"approved_by": ME, "person": OTHER}, [{"person": ME}]),
    "nobody_grants_themselves": (APPROVED | {"person": THIRD}, [{"person": ME}, *APPROVED_ALONE]),
    "nobody_moves_own_last_day": (APPROVED | {"person": THIRD}, [{"person": ME}, *APPROVED_ALONE]),
    "kiosk_not_approved_by_its_proposer": (APPROVED, [*APPROVED_ALONE, {"proposed_by": None}]),
    "nobody_sees_to_own_departure": ({"person": ME, "seen_to_by": OTHER}, [{"seen_to_by": ME}]),
    "nobody_certifies_own_training": ({"person": ME, "entered_by": OTHER}, [{"entered_by": ME}]),
    "admission_second_person": (APPROVED, APPROVED_ALONE),
    "nobody_enters_their_own_shift": ({"person": ME, "entered_by": OTHER}, [{"entered_by": ME}]),
    "lists_rules_second_person": (APPROVED, APPROVED_ALONE),
    "lists_standing_second_person": (APPROVED, APPROVED_ALONE),
    "lists_second_person": ({"approved_by": ME, "prepared_by": OTHER}, [{"prepared_by": ME}]),
    "partner_approver_is_another_person": (APPROVED, APPROVED_ALONE),
    "override_approver_is_another_person": (APPROVED, APPROVED_ALONE),
    "feed_takes_a_second_person": (APPROVED, APPROVED_ALONE),
    "policy_text_is_approved_by_a_second_person": (
        {"approved_by": ME, "prepared_by": OTHER},
        [{"prepared_by": ME}],
    ),
    "token_takes_a_second_person": (
        APPROVED | {"person": THIRD},
        [*APPROVED_ALONE, {"person": ME}, {"person": OTHER}, {"person": OTHER, "approved_by": None}],
    ),
    "device_is_approved_by_a_second_person": (
        {"approved_by": ME, "approved_at": AT, "registered_by": OTHER, "proposed_by": THIRD},
        [{"registered_by": ME}, {"proposed_by": ME}, {"approved_by": None}, {"approved_at": None}],
    ),
    "acceptance_by_a_second_person": ({"accepted_by": ME, "proposed_by": OTHER}, APPROVED_ALONE),
    "wipe_is_witnessed_by_a_second_person": (
        {"witnessed_by": ME, "recorded_by": OTHER},
        [{"recorded_by": ME}],
    ),
    # What is destroyed, kept and held (430.4-c, 430.4-d, GC-34090.6).
    "destruction_is_signed_twice": (SIGNED, NOT_TWICE),
    "destruction_signers_are_three_persons": (SIGNED, NOT_THREE),
    "log_removal_is_signed_twice": (SIGNED, NOT_TWICE),
    "log_removal_signers_are_three_persons": (SIGNED, NOT_THREE),
    "log_removed_range_is_whole": ({"first": 4, "last": 4}, [{"last": 3}]),
    "authority_names_resolution_and_attorney": (
        {"council_resolution": "7777", "attorney": "A. Roe", "signed_by": "the Mayor", "sha256": SHA},
        [{"council_resolution": ""}, {"attorney": ""}, {"signed_by": ""}, {"sha256": ""}],
    ),
    "authority_below_a_year_is_of_that_kind": (
        {"kind": "shorter", "least_days": 30},
        [{"kind": "destruction"}, {"least_days": 0}],
    ),
    "schedule_of_a_year_at_least_or_by_authority": (
        {"days": 364, "authority": 1},
        [{"authority": None}, {"days": 0}],
    ),
    "schedule_in_force_is_signed_twice": (
        {"state": "in_force", "approved_by": ME, "cosigned_by": OTHER, "in_force_from": AT},
        [
            {"approved_by": None},
            {"cosigned_by": None},
            {"in_force_from": None},
            {"state": "superseded", "cosigned_by": None},
        ],
    ),
    "schedule_signers_are_three_persons": (SIGNED, NOT_THREE),
    "hold_has_case_and_reason": (
        {"case": "26-1", "reason": "a trial", "requester": "County DA"},
        [{"case": ""}, {"reason": ""}, {"requester": ""}],
    ),
    "hold_is_bounded_by_something": ({"by_scope": True, "plate_like": "7%"}, [{"plate_like": ""}]),
    "hold_area_is_whole": (
        {"south": 1.0, "west": 1.0, "north": 2.0, "east": 2.0},
        [
            *({side: None} for side in SIDES),
            *({side: None for side in SIDES if side != given} for given in SIDES),
        ],
    ),
    "hold_is_released_by_two_persons": (
        {
            "placed_by": ME,
            "requested_by": OTHER,
            "release_by": THIRD,
            "release_reason": "closed",
            "released_by": FOURTH,
            "released_at": AT,
        },
        [
            {"placed_by": FOURTH},
            {"requested_by": FOURTH},
            {"release_by": FOURTH},
            {"release_by": None},
            {"release_reason": ""},
            {"released_by": None},
            {"released_at": None},
        ],
    ),
    # What leaves the department (430.4-e, 430.8).
    "package_has_case_and_reason": (
        {"case": "26-1", "reason": "a trial", "purpose": "evidence"},
        [{"case": ""}, {"reason": ""}, {"purpose": ""}],
    ),
    "package_is_approved_before_it_is_made": (
        {"state": "approved", "approved_by": ME, "approved_at": AT},
        [
            {"approved_by": None},
            {"approved_at": None},
            {"state": "prepared", "approved_by": None},
            {"state": "booked", "approved_by": None},
        ],
    ),
    "package_approver_is_another_person": (
        {"approved_by": ME, "requested_by": OTHER, "prepared_by": THIRD},
        [{"requested_by": ME}, {"prepared_by": ME}],
    ),
    "package_refused_says_by_whom_and_why": (
        {
            "state": "refused",
            "refused_by": ME,
            "refused_at": AT,
            "refused_why": "no case",
            "requested_by": OTHER,
        },
        [
            {"requested_by": ME},
            {"refused_why": ""},
            {"refused_by": None},
            {"refused_at": None},
            {"state": "requested"},
        ],
    ),
    "package_made_is_whole": (
        {"state": "prepared", "prepared_by": ME, "sha256": SHA, "file": "packages/1.zip"},
        [{"prepared_by": None}, {"sha256": ""}, {"file": ""}, {"state": "booked", "file": ""}],
    ),
    "package_booked_is_findable": (
        {
            "state": "booked",
            "medium_serial": "S-1",
            "evidence_number": "E-1",
            "booked_name": "A. Roe",
            "booked_on": AT,
        },
        [{"medium_serial": ""}, {"evidence_number": ""}, {"booked_name": ""}, {"booked_on": None}],
    ),
    "override_has_its_authority": (
        {"citation": "Vehicle Code 2413", "sha256": SHA, "document": "overrides/1.pdf"},
        [{"citation": ""}, {"sha256": ""}, {"document": ""}],
    ),
    "release_names_agency_person_purpose": (
        {"agency": "County DA", "person_name": "B. Doe", "purpose": "x", "purpose_text": "a trial"},
        [{"agency": ""}, {"person_name": ""}, {"purpose": ""}, {"purpose_text": ""}],
    ),
    "release_has_its_written_request": (
        {"document": "letters/1.pdf", "document_sha256": SHA},
        [{"document": ""}, {"document_sha256": ""}],
    ),
    "release_is_reviewed_and_approved_before_it_is_fulfilled": (
        {
            "state": "approved",
            "kind": "agency",
            "partner": 1,
            "reviewed_by": ME,
            "decided_by": OTHER,
            "scope_approved": {"plate": "7ABC123"},
        },
        [
            {"kind": "other"},
            {"partner": None},
            {"reviewed_by": None},
            {"decided_by": None},
            {"scope_approved": None},
            {"state": "fulfilled", "decided_by": None},
        ],
    ),
    "release_approver_asked_and_fulfils_nothing": (
        {"decided_by": ME, "registered_by": OTHER, "requested_by": THIRD, "fulfilled_by": FOURTH},
        [{"registered_by": ME}, {"requested_by": ME}, {"fulfilled_by": ME}],
    ),
    "release_fulfilled_is_whole": (
        {"state": "fulfilled", "fulfilled_by": ME, "sha256": SHA, "file": "releases/1.zip"},
        [{"fulfilled_by": None}, {"sha256": ""}, {"file": ""}],
    ),
    "release_to_others_has_no_export": (
        {"kind": "other", "state": "routed", "due_on": DAY, "file": ""},
        [{"due_on": None}, {"file": "releases/1.zip"}, {"state": "approved"}],
    ),
    # Accounts and training (430.2.1(a), 430.3(d)).
    "contractor_has_employer_and_last_day": (
        {"kind": "contractor", "employer": "Maker", "ends_on": DAY},
        [{"employer": ""}, {"ends_on": None}],
    ),
    "person_has_name_title_agency": (
        {"full_name": "A. Roe", "title": "Officer", "agency": "Test PD"},
        [{"full_name": ""}, {"title": ""}, {"agency": ""}],
    ),
    "kiosk_has_place_statement_last_day": (
        {"place": "dispatch", "statement": "locked room", "ends_on": DAY},
        [{"place": ""}, {"statement": ""}, {"ends_on": None}],
    ),
    "last_day_has_its_reason": ({"note": "contract prolonged"}, [{"note": ""}]),
    "departure_seen_to_has_an_answer": (
        {"seen_to_at": AT, "answer": "account closed"},
        [{"answer": ""}, {"seen_to_at": None, "mistaken": True}],
    ),
    "course_valid_at_most_a_year": (
        {"validity_months": 12},
        [{"validity_months": 13}, {"validity_months": 0}],
    ),
    "token_lives_90_days_at_most": (
        {"proposed_at": AT, "expires_at": AT + timedelta(days=90)},
        [{"expires_at": AT + timedelta(days=91)}, {"expires_at": AT}],
    ),
    "token_approved_before_collected": (
        {"digest": SHA, "approved_at": AT, "collected_at": SOON},
        [{"approved_at": None}, {"collected_at": None}],
    ),
    # Hits and lists (430.2-a, 430.3(c)-2, 430.3(f)).
    "visual_that_differs_says_what_it_reads": ({"plate": "differs", "read_as": "7ABC124"}, [{"read_as": ""}]),
    "clets_not_practicable_has_a_reason": (
        {"result": "not_practicable", "reason": "no answer"},
        [{"reason": ""}],
    ),
    "outcome_acted_on_names_step_two": ({"kind": "acted_on", "clets": 1}, [{"clets": None}]),
    "correction_says_why": (
        {"why": "the picture", "corrected": "7ABC124", "original": "7ABC123"},
        [{"why": ""}, {"corrected": ""}, {"original": ""}],
    ),
    "lists_ttl_of_30_days": ({"ttl_days": 30}, [{"ttl_days": 31}, {"ttl_days": 0}]),
    "lists_source_class_allowed": FORBIDDEN,
    "lists_entry_class_allowed": FORBIDDEN,
    "lists_manual_class_allowed": FORBIDDEN,
    "lists_in_force_is_approved": (
        {"state": "published", "approved_by": ME},
        [{"approved_by": None}, {"state": "approved", "approved_by": None}],
    ),
    "lists_manual_has_a_case": ({"case_number": "26-1"}, [{"case_number": ""}]),
    "lists_partial_has_an_incident": ({"case_number": "26-1"}, [{"case_number": ""}]),
    # Audits (430.5(c)).
    "plan_persons_are_apart": (
        {"auditor": ME, "other_auditor": OTHER, "reviewer": THIRD},
        [{"other_auditor": ME}, {"reviewer": ME}, {"reviewer": OTHER}],
    ),
    "plan_is_approved_by_neither_proposer_nor_auditor": (
        APPROVED | {"auditor": THIRD},
        [*APPROVED_ALONE, {"auditor": ME}],
    ),
    "plan_is_at_least_yearly_and_keeps_papers": (
        {"frequency_days": 366, "papers_days": 730, "sample_size": 1},
        [{"frequency_days": 367}, {"frequency_days": 0}, {"papers_days": 729}, {"sample_size": 0}],
    ),
    "audit_period_is_not_empty": ({"since": AT, "until": SOON}, [{"until": AT}]),
    "audit_is_signed_off_by_another_person": (
        {"approved_by": ME, "signed_by": OTHER, "auditor": THIRD},
        [{"signed_by": ME}, {"auditor": ME}, {"signed_by": None}],
    ),
    "item_is_of_the_log_or_a_unit": ({"record": 1}, [{"received": 1}, {"record": None}]),
    "nobody_audits_own_actions": (
        {"subject": ME, "assigned_to": OTHER, "marked_by": THIRD},
        [{"assigned_to": ME}, {"marked_by": ME}],
    ),
    "mark_has_a_person_and_a_doubt_has_a_note": (
        {"mark": "query", "marked_by": ME, "note": "why at night?"},
        [
            {"note": ""},
            {"marked_by": None},
            {"mark": "ok", "marked_by": None, "note": ""},
            {"mark": "", "note": ""},
        ],
    ),
    "nobody_resolves_a_finding_about_themselves": (
        {"subject": ME, "assigned_to": OTHER, "resolved_by": OTHER},
        [{"assigned_to": ME}, {"resolved_by": ME}],
    ),
    "resolved_finding_says_how": (
        {"resolved_by": ME, "resolved_at": AT, "resolution": "retrained"},
        [{"resolution": ""}, {"resolved_by": None}, {"resolved_at": None}],
    ),
    "freeze_is_not_empty": ({"first": 4, "last": 4}, [{"last": 3}]),
    # Units, deployments and the rest (430.2-c, 430.3(c)-1).
    "admission_done_is_approved": ({"done_at": AT, "approved_at": AT}, [{"approved_at": None}]),
    "shift_ends_after_it_starts": ({"starts_at": AT, "ends_at": SOON}, [{"ends_at": AT}]),
    "device_position_is_whole": (
        {"latitude": 34.1, "longitude": -118.1},
        [{"latitude": None}, {"longitude": None}],
    ),
    "deployment_names_incident_and_requester": (
        {"incident": "26-1", "requested_by": "Det. Example", "area": "El Centro St"},
        [{"incident": ""}, {"requested_by": ""}, {"area": ""}],
    ),
    "deployment_stops_after_it_started": ({"started_at": SOON, "stopped_at": SOON}, [{"stopped_at": AT}]),
    "policy_text_says_something": ({"text": "Who may search"}, [{"text": ""}]),
    "digest_has_its_day": ({"kind": "digest", "day": DAY}, [{"day": None}]),
}


def checks() -> dict[str, tuple[type[Model], CheckConstraint]]:
    return {
        constraint.name: (model, constraint)
        for model in apps.get_models()
        if model.__module__.startswith("hq.")
        for constraint in model._meta.constraints
        if isinstance(constraint, CheckConstraint)
    }


def lets_in(model: type[Model], constraint: CheckConstraint, fields: Fields) -> bool:
    row = model(**{getattr(model._meta.get_field(name), "attname", name): fields[name] for name in fields})
    try:
        constraint.validate(model, row)
    except ValidationError:
        return False
    return True


@pytest.mark.clause("430.2-d")
@pytest.mark.clause("430.4-c")
def test_every_check_refuses_each_row_that_breaks_it_and_no_honest_one() -> None:
    found = checks()
    assert set(CHECKS) == set(found), "a new check needs its rows here, and one that is gone none"
    wrong = []
    for name, (honest, cheats) in CHECKS.items():
        if not lets_in(*found[name], honest):
            wrong.append(f"{name} refuses {honest}")
        wrong += [
            f"{name} lets in {honest | cheat}" for cheat in cheats if lets_in(*found[name], honest | cheat)
        ]
    assert not wrong


@pytest.mark.clause("430.2-d")
@pytest.mark.clause("430.4-c")
@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="PostgreSQL tells a check in words of its own")
def test_database_makes_every_check_as_the_models_say() -> None:
    """A remake of a table in a migration could have dropped one, or left its former words."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
        tables = dict(cursor.fetchall())
    editor = connection.schema_editor()
    for name, (model, constraint) in checks().items():
        assert str(constraint.constraint_sql(model, editor)) in tables[model._meta.db_table], name
