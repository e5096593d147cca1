"""The description of the API (OpenAPI 3.1), written by hand; a test holds it against the views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from hq.hits.models import Clets, Outcome, Visual


def _text(what: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": what, **more}


def _parameter(name: str, what: str, **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": what, "schema": {"type": "string", **schema}}


def _number(name: str, what: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": what, "schema": {"type": "number"}}


def _problem(what: str) -> dict[str, Any]:
    return {
        "description": what,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def _answer(what: str, schema: str) -> dict[str, Any]:
    return {
        "description": what,
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }


def _object(properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": sorted(properties),
        "additionalProperties": False,
        **more,
    }


def _choice(values: Sequence[str], what: str) -> dict[str, Any]:
    return {"type": ["string", "null"], "enum": [*values, None], "description": what}


_PROBLEMS: Final = {
    "400": _problem("A parameter or header is missing, given twice or makes no sense."),
    "401": _problem("No token, or one that is not in force. Recorded."),
    "403": _problem("Policy refuses: the clause, and who can grant. Recorded."),
    "404": _problem("No such record within the person's reach. Recorded."),
    "405": _problem("Anything but GET."),
    "429": _problem("Too many calls in this hour; Retry-After says when the next begins."),
    "500": _problem("HQ failed; its own log says why. Recorded."),
    "503": _problem("The access log cannot be written, so nothing is shown."),
}

_STATED: Final = [
    {
        "name": name,
        "in": "header",
        "required": True,
        "description": what,
        "schema": {"type": "string", "minLength": 1, "maxLength": length},
    }
    for name, what, length in (
        ("X-Purpose", "A purpose code of policy 430, such as criminal_investigation.", 64),
        ("X-Case", "The case or incident number, or the id that stands for it.", 64),
        ("X-On-Behalf-Of", "Person and agency for whom it is asked; your own where nobody else.", 128),
    )
]

_TIME: Final = {"type": "string", "format": "date-time"}
_TIME_OR_NULL: Final = {"type": ["string", "null"], "format": "date-time"}
_WINDOW: Final = [
    _parameter("since", "First moment within, with its offset from UTC.", format="date-time"),
    _parameter("until", "First moment past, with its offset from UTC.", format="date-time"),
    _parameter("unit", "Id of a unit."),
]
_PAGING: Final = [
    {
        "name": "limit",
        "in": "query",
        "description": "Records of one answer.",
        "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 100},
    },
    {
        "name": "page",
        "in": "query",
        "description": "Which page; take it and asof from `next`.",
        "schema": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 1},
    },
    _parameter(
        "asof",
        "Leaves out what came later, so that pages do not shift; now at the latest.",
        format="date-time",
    ),
]
_AREA: Final = [
    _number(name, "Side of a box in degrees (WGS 84); give all four.")
    for name in ("south", "west", "north", "east")
] + [
    _number("lat", "Centre of a circle in degrees (WGS 84); give all three of lat, lon, metres."),
    _number("lon", "Centre of a circle."),
    _number("metres", "Radius of a circle, 50,000 at most."),
]
_STATUS: Final = _text(
    "As HQ's pages say it: UNVERIFIED; UNVERIFIED, CHECK NOT PRACTICABLE; CONFIRMED, NOT FOUND or CANCELLED"
    " by CLETS; PLATE DIFFERS, seen by eye; WITHDRAWN by the unit. Only CONFIRMED is more than a lead."
)
_CHECKED: Final = "When the status was found out; null while it is UNVERIFIED and nobody has asked."

_PAGED: Final = {
    "count": {"type": "integer", "minimum": 0, "description": "How many there are, counted up to 10,000."},
    "more": {"type": "boolean", "description": "There are more than count says."},
    "next": {
        "oneOf": [
            {"type": "null"},
            _object({"page": {"type": "integer", "minimum": 2}, "asof": _TIME}),
        ]
    },
    "access_record": {"$ref": "#/components/schemas/AccessRecord"},
}

_READ: Final = _object(
    {
        "id": _text("Id of the read.", format="uuid"),
        "plate": _text("As it was read."),
        "corrected_plate": _text("As a person corrected it, empty where nobody did; found under both."),
        "region": _text("US state of the plate's design, two letters; empty where not known."),
        "region_confidence": {"type": "number", "minimum": 0, "maximum": 1},
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
        "candidates": {
            "type": "array",
            "items": _object({"plate": {"type": "string"}, "share": {"type": "number"}}),
        },
        "captured_at": _TIME_OR_NULL,
        "received_at": _TIME,
        "clock": _text("none, ntp or gps: how far captured_at can be trusted."),
        "unit": {"type": "string"},
        "deployment": {"type": "string"},
        "position": {
            "oneOf": [{"type": "null"}, _object({"lat": {"type": "number"}, "lon": {"type": "number"}})]
        },
        "parked": {"type": "boolean"},
        "demo": {"type": "boolean"},
        "unverified_hit": {
            "type": "boolean",
            "description": (
                "Whether it met a hot list and the unit has not taken that back, whatever people have found"
                " since; `hits` tells that."
            ),
        },
        "hits": {
            "type": "array",
            "description": "Its hits that the unit has not taken back, as they stand.",
            "items": _object({"status": _STATUS, "checked_at": {**_TIME_OR_NULL, "description": _CHECKED}}),
        },
    }
)
_VERIFICATION: Final = _object(
    {
        "status": _STATUS,
        "plate": _choice(Visual.Plate.values, "What the comparison by eye says of the plate."),
        "compared_at": _TIME_OR_NULL,
        "clets": _choice(Clets.Result.values, "What CLETS answered, as the person who asked entered it."),
        "answered_at": {**_TIME_OR_NULL, "description": "When CLETS answered."},
        "outcome": _choice(Outcome.Kind.values, "How it was closed; null while it is open."),
        "closed_at": _TIME_OR_NULL,
    },
    description="What people have found out and done about it so far; null where nothing was entered.",
)
_HIT: Final = _object(
    {
        "id": _text("Id of the hit.", format="uuid"),
        "read": {
            "type": ["string", "null"],
            "format": "uuid",
            "description": "Id of its read; null where the hit is masked.",
        },
        "plate": {
            "type": ["string", "null"],
            "description": "As it was read; null until its read has come, and where the hit is masked.",
        },
        "status": _text(
            "As every unit sends it: a hit is a lead, verify through CLETS first (430.3(f)). It never"
            " changes; what people have found since is in `verification`.",
            const="UNVERIFIED",
        ),
        "verification": _VERIFICATION,
        "withdrawn": {"type": "boolean"},
        "match": {
            "type": ["string", "null"],
            "description": "exact, lookalike or partial; null where the hit is masked.",
        },
        "score": {"type": ["number", "null"]},
        "hit_at": _TIME_OR_NULL,
        "received_at": _TIME,
        "list_age_s": {"type": ["number", "null"]},
        "unit": {"type": "string"},
        "masked": {"type": "boolean", "description": "The person lacks the grant for the entry (430.3(e))."},
        "entry": {
            "oneOf": [
                {"type": "null"},
                _object(
                    {
                        name: {"type": "string"}
                        for name in ("plate", "state", "alarm_class", "reason", "source", "list_version")
                    }
                    | {
                        "state_agrees": {
                            "type": ["boolean", "null"],
                            "description": "Whether the read's state is the entry's; null where not known.",
                        }
                    }
                ),
            ]
        },
    }
)

DOCUMENT: Final[dict[str, Any]] = {
    "openapi": "3.1.0",
    "info": {
        "title": "Platewarden HQ",
        "version": "1.1",
        "description": (
            "Read-only, for programs of the own agency. Every call is made in the name of one trained person,"
            " states why and for whom, and is written into the access log before it is answered. An answer"
            " may get further fields: pass over those that you do not know."
        ),
        "license": {"name": "AGPL-3.0-or-later", "identifier": "AGPL-3.0-or-later"},
    },
    "servers": [{"url": "/api/v1"}],
    "security": [{"token": []}],
    "paths": {
        "/reads": {
            "get": {
                "operationId": "reads",
                "summary": "Reads that answer a question, newest first.",
                "description": (
                    "A pattern without three known characters side by side, or no plate and no deployment,"
                    " takes a window of 31 days at most."
                ),
                "parameters": [
                    *_STATED,
                    _parameter(
                        "plate", "10 characters at most, ? for one unknown, * for any number.", maxLength=200
                    ),
                    {
                        "name": "lookalikes",
                        "in": "query",
                        "description": "Plates too that differ by characters that look alike.",
                        "schema": {"type": "string", "enum": ["true", "false"], "default": "false"},
                    },
                    *_WINDOW,
                    _parameter("deployment", "Id of a deployment."),
                    *_AREA,
                    *_PAGING,
                ],
                "responses": {"200": _answer("One page.", "Reads"), **_PROBLEMS},
            }
        },
        "/reads/{id}": {
            "get": {
                "operationId": "read",
                "summary": "One read.",
                "parameters": [
                    *_STATED,
                    {
                        "name": "id",
                        "in": "path",
                        "required": True,
                        "schema": {"type": "string", "format": "uuid"},
                    },
                ],
                "responses": {"200": _answer("The read.", "OneRead"), **_PROBLEMS},
            }
        },
        "/hits": {
            "get": {
                "operationId": "hits",
                "summary": "Hits of a window of 31 days at most, newest first.",
                "parameters": [
                    *_STATED,
                    *({**one, "required": True} for one in _WINDOW[:2]),
                    *_WINDOW[2:],
                    *_PAGING,
                ],
                "responses": {"200": _answer("One page.", "Hits"), **_PROBLEMS},
            }
        },
        "/openapi.json": {
            "get": {
                "operationId": "openapi",
                "summary": "This document.",
                "security": [],
                "responses": {
                    "200": {
                        "description": "The document.",
                        "content": {"application/json": {"schema": {"type": "object"}}},
                    }
                },
            }
        },
    },
    "components": {
        "securitySchemes": {
            "token": {
                "type": "http",
                "scheme": "bearer",
                "description": "Proposed, approved and collected under API tokens; 90 days at most.",
            }
        },
        "schemas": {
            "AccessRecord": {"type": "integer", "description": "Number of this call in the access log."},
            "Read": _READ,
            "Hit": _HIT,
            "Reads": _object(
                {
                    "reads": {"type": "array", "items": {"$ref": "#/components/schemas/Read"}},
                    "unplaced": {
                        "type": "integer",
                        "description": "Reads that fit but for the area, as their place is not known.",
                    },
                    **_PAGED,
                }
            ),
            "OneRead": _object(
                {
                    "read": {"$ref": "#/components/schemas/Read"},
                    "access_record": {"$ref": "#/components/schemas/AccessRecord"},
                }
            ),
            "Hits": _object(
                {"hits": {"type": "array", "items": {"$ref": "#/components/schemas/Hit"}}, **_PAGED}
            ),
            "Problem": {
                "type": "object",
                "required": ["title", "status", "detail"],
                "properties": {
                    "title": {"type": "string"},
                    "status": {"type": "integer"},
                    "detail": {"type": "string"},
                    "clause": _text("What refuses: of policy 430, a statute or a control."),
                    "who_can_grant": {"type": "string"},
                },
                "additionalProperties": False,
            },
        },
    },
}
