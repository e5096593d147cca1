"""A unit with three reads and two people, one of them trained, and its command line."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from firmware import cli
from firmware.store import Store
from mqtt.messages import decode_record
from mqtt.records import AccessRecord, Read
from tests.firmware.store_samples import SetClock, hit, pair, read, rows

PEOPLE = """\
[mora]
name = "A. Mora"
title = "Officer"
agency = "Test PD"
course = "ALPR 2026"
trained_until = 2026-06-30

[late]
name = "B. Late"
title = "Officer"
agency = "Test PD"
course = "ALPR 2024"
trained_until = 2025-06-30
"""
AS_MORA = ("--person", "mora", "--purpose", "stolen_vehicle", "--case", "26-1")


class Site:
    """A unit with three reads, and its command line."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], *, demo: bool) -> None:
        self.folder = folder
        self.clock = SetClock()
        self.store = Store.open(folder / "store", self.clock)
        self.reads: list[Read] = []
        for plate in ("TEST123", "TEST124", "OTHER1"):
            one = read(self.clock, plate, demo=demo)
            stored = self.store.add(one, [hit(one)] if plate == "TEST123" else [], pair())
            assert stored is not None
            self.reads.append(stored)
            self.clock.advance(timedelta(minutes=10))
        (folder / "people.toml").write_text(PEOPLE)
        (folder / "unit.toml").write_text(
            f'[unit]\nid = "unit-7"\ndemo = {str(demo).lower()}\n'
            '[store]\ndirectory = "store"\n[access]\npeople = "people.toml"\n'
        )
        self._capsys = capsys
        self.code = 0
        self.err = ""

    def command(self, *words: object) -> list[str]:
        """The lines that a command prints; `code` and `err` are the rest of its answer."""
        self.code = cli.main(["--config", str(self.folder / "unit.toml"), *map(str, words)])
        out, self.err = self._capsys.readouterr()
        return out.splitlines()

    def recorded(self) -> list[AccessRecord]:
        found = [decode_record("access", row.body) for row in rows(self.store) if row.kind == "access"]
        return [record for record in found if isinstance(record, AccessRecord)]
