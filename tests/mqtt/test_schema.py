from __future__ import annotations

import json
import subprocess
import sys

import jsonschema
import pytest

from mqtt import messages, schema
from tests.mqtt.test_messages import BAD_FIELDS, ENVELOPE, RECORDS, mutate


def validator(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads((schema.FOLDER / f"{name}.json").read_text()))


def as_json(name: str) -> dict[str, object]:
    envelope = ENVELOPE if name in messages.NUMBERED else None
    payload = messages.encode(RECORDS[name], envelope)
    if name in messages.BINARY:
        payload = payload[4:]
    parsed: dict[str, object] = json.loads(payload)
    return parsed


def test_the_committed_files_are_those_that_the_code_generates() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mqtt.schema", "--check"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_every_message_follows_its_published_schema(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(validator(name).schema)
    validator(name).validate(as_json(name))


# JSON Schema holds 1.0 an integer; there the decoder is stricter.
@pytest.mark.parametrize(
    ("name", "change", "field"), [case for case in BAD_FIELDS if case[2] != "record.looks"]
)
def test_what_the_decoder_refuses_the_schema_refuses(name: str, change: object, field: str) -> None:
    assert not validator(name).is_valid(json.loads(mutate(name, change)))


def test_the_schema_allows_fields_of_a_newer_minor_version() -> None:
    message = as_json("read")
    message["record"]["colour"] = "blue"  # type: ignore[index]
    validator("read").validate(message)


def test_the_asyncapi_document_refers_to_what_is_there() -> None:
    document = json.loads((schema.FOLDER / "asyncapi.json").read_text())
    assert {channel["address"] for channel in document["channels"].values()} == {
        *(f"platewarden/v1/units/{{unit}}/up/{name}" for name in schema_ups()),
        "platewarden/v1/units/{unit}/down/receipt",
        "platewarden/v1/units/{unit}/down/chunk",
        "platewarden/v1/groups/{group}/hotlist",
    }
    for message in document["components"]["messages"].values():
        assert (schema.FOLDER / message["payload"]["$ref"]).exists()
    for operation in document["operations"].values():
        assert operation["channel"]["$ref"].removeprefix("#/channels/") in document["channels"]


def schema_ups() -> set[str]:
    return {name for name in RECORDS if name not in ("receipt", "chunk", "hotlist")}
