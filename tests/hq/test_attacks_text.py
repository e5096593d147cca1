"""Text that attacks: in messages of units, in names of files, in what people type, wherever it comes out."""

from __future__ import annotations

import csv
import io
import json
import logging
import logging.config
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hq.evidence import bag
from hq.people.models import Person
from hq.records.intake import Intake, Source
from hq.records.messages import read_message
from hq.records.models import Quarantined, Read, Unit
from hq.records.pictures import Files
from hq.releases import partners, requests
from hq.releases.models import ReleaseRequest
from hq.retention.scope import Scope
from hq.search import export
from hq.site import clock as hq_clock
from mqtt import messages, topics
from tests.hq import kept
from tests.hq.ingest_site import UNIT, payload_of, received
from tests.mqtt import samples

pytestmark = pytest.mark.django_db
People = Callable[..., Person]
ClientFor = Callable[..., Client]
EVIL = '"><script>alert(1)</script>\r\nX-Evil: 1'


@pytest.fixture
def intake(tmp_path: Path, clock: Any) -> Iterator[Intake]:
    Unit.objects.create(unit_id=UNIT, state=Unit.State.ENROLLED)
    made = Intake(Files(FileSystemStorage(location=tmp_path / "files")))
    yield made
    made.close()


# Messages

_SENT = [json.loads(payload_of(record, 1)) for record in (samples.read(), samples.access(), samples.loss())]
_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(allow_nan=False),
    st.text(max_size=40),
    st.sampled_from(
        ["\x00", "\u202e", "x" * 40_000, "9" * 5_000, "=1+1", "../../x", "2026-02-30T00:00:00.00+00:00"]
    ),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from _paths(part, (*path, key))


def _put(value: Any, path: tuple[Any, ...], leaf: Any) -> Any:
    if not path:
        return leaf
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _put(copy[path[0]], path[1:], leaf)
    return copy


@st.composite
def _changed(draw: Any) -> tuple[str, bytes]:
    """A good message in which one to three values are others, as JSON that parses."""
    which = draw(st.sampled_from([("read", 0), ("access", 1), ("loss", 2)]))
    body = _SENT[which[1]]
    for _ in range(draw(st.integers(1, 3))):
        body = _put(body, draw(st.sampled_from(list(_paths(body)))), draw(_LEAVES))
    return which[0], json.dumps(body).encode()


@pytest.mark.clause("430.4-b")
@given(sent=st.lists(_changed(), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_value_in_a_message_is_taken_or_kept_apart_and_stops_nothing(
    sent: list[tuple[str, bytes]], intake: Intake
) -> None:
    """Well-formed JSON of any content, through the decoding and the intake that a subscriber uses."""
    good = samples.read()
    batch = [read_message(topics.up(UNIT, name), payload) for name, payload in sent]
    taken = intake.take(
        [*batch, received(good, 1, store=good.read_id.replace("-", ""))], Source("mqtt", "hq-test")
    )
    assert Read.objects.filter(pk=good.read_id).exists()
    assert taken.new + taken.known + taken.quarantined == len(batch) + 1
    for item in batch:
        if item.reason:
            assert Quarantined.objects.filter(topic=item.topic).exists()
    assert all(row.text.isprintable() for row in Read.objects.all())


@pytest.mark.clause("430.4-b")
@pytest.mark.parametrize(
    "payload",
    [
        b"[" * 200_000,
        b'{"record":' * 50_000,
        b'{"a":' + b"9" * 1_000_000 + b"}",
        b'{"a":"' + b"x" * (messages.MAX_JSON + 1) + b'"}',
        b"\xff\xfe" * 1000,
        b"\xef\xbb\xbf{}",
        (2**32 - 1).to_bytes(4) + b"{}",
        bytes(messages.MAX_BYTES + 1),
    ],
    ids=[
        "deep lists",
        "deep objects",
        "a long number",
        "too much JSON",
        "no UTF-8",
        "a mark",
        "a lie",
        "too large",
    ],
)
@pytest.mark.parametrize("name", ["read", "picture"])
def test_oversized_and_malformed_messages_are_kept_apart(intake: Intake, name: str, payload: bytes) -> None:
    item = read_message(topics.up(UNIT, name), payload)
    assert item.message is None
    assert intake.take([item], Source("mqtt", "hq-test")).quarantined == 1
    row = Quarantined.objects.get()
    assert (row.size, bool(row.reason)) == (len(payload), True)


# The process's own log


@pytest.mark.clause("430.7-b")
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
@settings(max_examples=100, deadline=None)
def test_a_message_is_one_line_of_the_log_whatever_is_in_it(text: str) -> None:
    """Of the handler that the settings put in place; nothing of the text moves a cursor or turns a line."""
    logging.config.dictConfig(django_settings.LOGGING)
    (handler,) = [one for one in logging.getLogger().handlers if one.get_name() == "line"]
    record = logging.LogRecord(
        "hq", logging.ERROR, __file__, 1, "message on %s ignored: %s", (text, EVIL), None
    )
    line = handler.format(record)
    assert line.isprintable()
    assert "X-Evil" in line


# Pages; with hostile text in every record: test_attacks_pages.py


@pytest.mark.clause("430.7-b")
def test_no_name_turns_what_stands_after_it(people: People, client_for: ClientFor) -> None:
    """Of the plate and the time beside it; a mark without reach, as a name may need it, stays."""
    answer = client_for(people("investigator", full_name="Ada\u202e\u2066\x07\u200f Fox")).get("/")
    assert "Ada\ufffd\ufffd\ufffd\u200f Fox" in answer.content.decode()
    assert int(answer.headers["Content-Length"]) == len(answer.content)


# Files that go out

FORMULAS = ["=1+1", "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1+1", "\u00a0=1", "＝1+1", "＠x"]


@pytest.mark.clause("430.7-b")
@pytest.mark.parametrize("formula", FORMULAS)
def test_no_cell_of_any_csv_file_is_a_formula(
    people: People, client_for: ClientFor, clock: Any, tmp_path: Path, settings: Any, formula: str
) -> None:
    """A search's export, the register of releases, and the tables of a package."""
    settings.MEDIA_ROOT = tmp_path
    row = kept.read("7ABC123", pictures=(), deployment=formula)
    Read.objects.filter(pk=row.pk).update(text=formula)
    _a_request(people, person_name=formula)
    investigator = client_for(people("investigator"))
    why = {"purpose": "criminal_investigation", "case": "26-1", "plate": "7ABC123"}
    files = [
        investigator.post("/search/csv/", why).content.decode(),
        client_for(people("records_clerk")).get("/releases/register.csv").content.decode(),
        bag._csv([{"text": formula}]).decode(),
    ]
    for text in files:
        cells = [cell for line in csv.reader(io.StringIO(text, newline="")) for cell in line]
        assert f"'{formula}" in cells
        assert formula not in cells
    assert export.cell(-34.1) == "-34.1"


@pytest.mark.clause("430.5-0")
@pytest.mark.parametrize(
    "name",
    [
        "../../../x.html",
        "..\\..\\x.svg",
        "/etc/cron.d/x",
        'a"\r\nX-Evil: 1.pdf',
        "\u202efdp.exe",
        "x" * 300 + ".pdf",
        "..",
    ],
)
def test_the_name_of_a_file_leads_nowhere_and_is_no_header(
    people: People, client_for: ClientFor, clock: Any, tmp_path: Path, settings: Any, name: str
) -> None:
    settings.MEDIA_ROOT = tmp_path / "pictures"
    clerk = client_for(people("records_clerk"))
    upload = ContentFile(b"<script>alert(1)</script>", "letter")
    upload.name = name
    answer = clerk.post(
        "/releases/new/",
        {
            "kind": "other", "agency": EVIL, "person_name": EVIL, "purpose": "stolen_vehicle",
            "purpose_text": EVIL, "case": "N-1", "received_at": "2020-01-01T10:00", "due_on": "2026-07-01",
            "document": upload,
        },
    )  # fmt: skip
    outside = [path for path in tmp_path.rglob("*") if path.is_file() and "pictures" not in path.parts]
    assert outside == []
    if answer.status_code != 302:
        assert not ReleaseRequest.objects.exists()
        return
    row = ReleaseRequest.objects.get()
    assert (tmp_path / "pictures") in Path(row.document.path).resolve().parents
    sent = clerk.get(f"/releases/{row.pk}/document/")
    assert sent["Content-Disposition"].startswith("attachment")
    assert "Evil" not in str(sent.headers)
    assert sent["X-Content-Type-Options"] == "nosniff"
    page = clerk.get(f"/releases/{row.pk}/").content
    assert b"<script>alert" not in page


def _a_request(people: People, **fields: str) -> None:
    admin, commander, clerk = people("administrator"), people("commander"), people("records_clerk")
    partner = partners.propose(
        admin, agency="Neighbour PD", kind="ca_law", valid_until=hq_clock.today() + timedelta(days=9)
    )
    partner = partners.approve(commander, partner.pk)
    values: dict[str, Any] = {
        "kind": "agency",
        "agency": "Neighbour PD",
        "partner": partner,
        "person_name": "B. Ask",
        "person_title": "Detective",
        "person_contact": "ask@neighbour.example",
        "case": "N-1",
        "purpose": "stolen_vehicle",
        "purpose_text": "series",
        "received_at": hq_clock.now(),
        "document": ContentFile(b"%PDF- We ask", "letter.pdf"),
        "scope": Scope(plate="7ABC123"),
        "pictures": False,
    }
    requests.register(clerk, **values | fields)
