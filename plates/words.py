"""The closed lists that the unit, HQ and the signals share: alarm classes and kinds of match.

Owns the names only. Which entry matches which text is `plates.match`; what an agency switches on
is configuration.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class AlarmClass(StrEnum):
    """Why a plate is on a hot list: the closed list of policy 430, clauses 430.2 and 430.3(c)."""

    STOLEN_VEHICLE = "stolen_vehicle"
    STOLEN_PLATE = "stolen_plate"
    FELONY_VEHICLE = "felony_vehicle"
    WANTED_PERSON_VEHICLE = "wanted_person_vehicle"
    MISSING_PERSON = "missing_person"
    AMBER_ALERT = "amber_alert"
    ACTIVE_WARRANT = "active_warrant"
    SUSPECT_INTERDICTION = "suspect_interdiction"
    STOLEN_PROPERTY = "stolen_property"
    MAJOR_INCIDENT_PARTIAL = "major_incident_partial"
    HOMELAND_SECURITY = "homeland_security"
    ELECTRONIC_SURVEILLANCE = "electronic_surveillance"
    SUPERVISED_RELEASE = "supervised_release"
    PROTECTION_ORDER = "protection_order"
    PROTECTIVE_INTEREST = "protective_interest"
    VIOLENT_PERSON = "violent_person"
    SEX_OFFENDER = "sex_offender"
    IMMIGRATION_VIOLATOR = "immigration_violator"


@dataclass(frozen=True, slots=True)
class ClassRule:
    """How an alarm class is treated.

    Attributes:
        clause: the clause of the policy or statute behind it.
        default_on: whether a new unit loads entries of this class.
        restricted: whether its detail is masked for people without the grant (CJIS 4.2.2).
        allowed: False for the one class that can never be switched on (SB 54).
    """

    clause: str
    default_on: bool
    restricted: bool
    allowed: bool = True


_ON = ("430.2-a", True, False)
CLASS_RULES: Final = MappingProxyType(
    {
        AlarmClass.STOLEN_VEHICLE: ClassRule(*_ON),
        AlarmClass.STOLEN_PLATE: ClassRule(*_ON),
        AlarmClass.FELONY_VEHICLE: ClassRule(*_ON),
        AlarmClass.WANTED_PERSON_VEHICLE: ClassRule(*_ON),
        AlarmClass.MISSING_PERSON: ClassRule(*_ON),
        AlarmClass.AMBER_ALERT: ClassRule(*_ON),
        AlarmClass.ACTIVE_WARRANT: ClassRule("430.2-b", True, False),
        AlarmClass.SUSPECT_INTERDICTION: ClassRule("430.2-b", True, False),
        AlarmClass.STOLEN_PROPERTY: ClassRule("430.2-b", True, False),
        AlarmClass.MAJOR_INCIDENT_PARTIAL: ClassRule("430.3(c)", True, False),
        AlarmClass.HOMELAND_SECURITY: ClassRule("430.2-b", False, True),
        AlarmClass.ELECTRONIC_SURVEILLANCE: ClassRule("430.2-b", False, True),
        AlarmClass.SUPERVISED_RELEASE: ClassRule("CJIS 4.2", False, True),
        AlarmClass.PROTECTION_ORDER: ClassRule("CJIS 4.2", False, True),
        AlarmClass.PROTECTIVE_INTEREST: ClassRule("CJIS 4.2", False, True),
        AlarmClass.VIOLENT_PERSON: ClassRule("CJIS 4.2", False, True),
        AlarmClass.SEX_OFFENDER: ClassRule("CJIS 4.2", False, True),
        AlarmClass.IMMIGRATION_VIOLATOR: ClassRule("SB 54", False, True, allowed=False),
    }
)
"""One rule for every AlarmClass: table B7 of the policy's requirements."""


class MatchKind(StrEnum):
    """How a read matches an entry; the order is that of strength."""

    EXACT = "exact"
    LOOKALIKE = "lookalike"
    PARTIAL = "partial"


class Purpose(StrEnum):
    """Why a person may see plate text on a unit or at a subscriber (430.2, 430.5(b))."""

    STOLEN_VEHICLE = "stolen_vehicle"
    STOLEN_PLATE = "stolen_plate"
    WANTED_VEHICLE = "wanted_vehicle"
    MISSING_PERSON = "missing_person"
    ACTIVE_WARRANT = "active_warrant"
    HOMELAND_SECURITY = "homeland_security"
    ELECTRONIC_SURVEILLANCE = "electronic_surveillance"
    SUSPECT_INTERDICTION = "suspect_interdiction"
    STOLEN_PROPERTY_RECOVERY = "stolen_property_recovery"
    CRIMINAL_INVESTIGATION = "criminal_investigation"
    CIVIL_OR_ADMINISTRATIVE_ACTION = "civil_or_administrative_action"
    PATROL_HIT = "patrol_hit"
    AUDIT = "audit"
    TRAINING = "training"
    MAINTENANCE = "maintenance"
    CORRECTION = "correction"
    RECORDS_REQUEST = "records_request"
    EVIDENCE = "evidence"
    RETENTION = "retention"


PURPOSE_CLAUSES: Final = MappingProxyType(
    {
        Purpose.STOLEN_VEHICLE: "430.2-a",
        Purpose.STOLEN_PLATE: "430.2-a",
        Purpose.WANTED_VEHICLE: "430.2-a",
        Purpose.MISSING_PERSON: "430.2-a",
        Purpose.ACTIVE_WARRANT: "430.2-b",
        Purpose.HOMELAND_SECURITY: "430.2-b",
        Purpose.ELECTRONIC_SURVEILLANCE: "430.2-b",
        Purpose.SUSPECT_INTERDICTION: "430.2-b",
        Purpose.STOLEN_PROPERTY_RECOVERY: "430.2-b",
        Purpose.CRIMINAL_INVESTIGATION: "430.5(b)",
        Purpose.CIVIL_OR_ADMINISTRATIVE_ACTION: "430.5(b)",
        Purpose.PATROL_HIT: "430.3(b)",
        Purpose.AUDIT: "430.5(c)",
        Purpose.TRAINING: "430.6",
        Purpose.MAINTENANCE: "430.2-c",
        Purpose.CORRECTION: "CC-51b2F",
        Purpose.RECORDS_REQUEST: "430.8",
        Purpose.EVIDENCE: "430.4-e",
        Purpose.RETENTION: "430.4-d",
    }
)
"""The clause behind each Purpose. Every purpose needs a case number or the id that stands for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HotListEntry:
    """One line of a hot list.

    Attributes:
        plate: normalised plate (characters 0-9A-Z), or a pattern with `?` (one character) and `*`
            (a run of any length) where `partial` is true.
        state: two-letter code of the issuing state or province, "" where unknown.
        alarm_class: why the plate is listed.
        reason: the list's own words, shown to the officer.
        source: who keeps the list (CLEW, NCIC, manual ...).
        case_number: case or incident number, "" where the source has none; mandatory for a partial.
        expiry: the last date, "YYYY-MM-DD", on which the entry matches; mandatory.
        priority: 0 (lowest) to 100.
        partial: whether `plate` is a pattern.
    """

    plate: str
    state: str
    alarm_class: AlarmClass
    reason: str
    source: str
    case_number: str
    expiry: str
    priority: int = 50
    partial: bool = False
