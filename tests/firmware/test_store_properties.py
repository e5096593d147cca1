"""Whatever happens in whatever order, crashes included: no committed read is lost, no file is left over,
and nothing that HQ lacks is deleted."""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from firmware import store_db
from firmware.store import Store
from firmware.store_queries import ReadQuery
from mqtt import outbox
from mqtt.fields import time_value
from mqtt.records import Hit, PictureKind, Read
from tests.firmware.store_samples import SetClock, files, hit, jpeg, read, receipt, rows

GRACE = timedelta(hours=1)
SHADES = st.dictionaries(st.sampled_from(list(PictureKind)), st.integers(0, 3))


class PowerCut(BaseException):
    """The process ends here; no handler of an expected error sees it."""


@contextmanager
def power_cut(after: int) -> Iterator[None]:
    """The process ends at the `after`th call that changes or secures something on the disk."""
    calls = iter(range(after))

    def cut(real: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **options: object) -> object:
            if next(calls, None) is None:
                raise PowerCut
            return real(*args, **options)

        return call

    with (
        mock.patch.object(os, "fsync", cut(os.fsync)),
        mock.patch.object(os, "rename", cut(os.rename)),
        mock.patch.object(os, "unlink", cut(os.unlink)),
        mock.patch.object(outbox, "append", cut(outbox.append)),
        mock.patch.object(outbox, "forget", cut(outbox.forget)),
    ):
        yield


class Unit(RuleBasedStateMachine):
    """A unit that adds, revises and purges, with an HQ that receipts and is sometimes restored."""

    @initialize()
    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="store-"))
        self.clock = SetClock()
        self.store = Store.open(self.folder, self.clock)
        self.kept: dict[str, Read] = {}
        self.numbers = itertools.count()
        for _ in range(3):
            self.add({PictureKind.PLATE: 1, PictureKind.SCENE: 2}, 1, None)

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)

    @rule(shades=SHADES, hits=st.integers(0, 2), cut=st.none() | st.integers(0, 12))
    def add(self, shades: dict[PictureKind, int], hits: int, cut: int | None) -> None:
        given = read(self.clock, read_id=self._new_id())
        pictures = {kind: jpeg(shade) for kind, shade in shades.items()}
        self._write(lambda: self.store.add(given, self._hits(given, hits), pictures), cut)

    @precondition(lambda self: self.kept)
    @rule(data=st.data(), shades=SHADES, hits=st.integers(0, 1), cut=st.none() | st.integers(0, 12))
    def revise(self, data: st.DataObject, shades: dict[PictureKind, int], hits: int, cut: int | None) -> None:
        old = self.kept[data.draw(st.sampled_from(sorted(self.kept)))]
        new = replace(old, looks=old.looks + 1)
        pictures = {kind: jpeg(shade) for kind, shade in shades.items()}
        self._write(lambda: self.store.revise(new, self._hits(new, hits), pictures), cut)
        kept = self.kept[old.read_id]
        assert kept.revision == old.revision + (kept.looks > old.looks)

    @rule(share=st.sampled_from((1, 1, 1, 0.7)), minutes=st.sampled_from((60, 90, 59)))
    def hear_from_hq(self, share: float, minutes: int) -> None:
        """Less than before is an HQ that was restored."""
        queued = rows(self.store)
        last = queued[-1].sequence if queued else 0
        receipt(self.store, self.clock, max(int(last * share), last and 1))
        self.clock.advance(timedelta(minutes=minutes))

    @precondition(lambda self: self.kept)
    @rule(cut=st.none() | st.integers(0, 12))
    def purge(self, cut: int | None) -> None:
        may_go = self._may_go()
        self._with_cut(lambda: self.store.purge(self.clock.now().wall, GRACE), cut)
        here = {r.read_id for r in self.store.reads(ReadQuery())}
        gone = self.kept.keys() - here
        assert gone <= may_go, "deleted without HQ's receipt or within the grace"
        if cut is None:
            assert gone == may_go
        for read_id in gone:
            del self.kept[read_id]

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.store = Store.open(self.folder, self.clock)
        self.store.sweep()

    @invariant()
    def every_committed_read_is_there(self) -> None:
        stored = {r.read_id: r for r in self.store.reads(ReadQuery())}
        assert stored == self.kept

    @invariant()
    def files_and_rows_agree(self) -> None:
        db = sqlite3.connect(self.folder / "platewarden.sqlite")
        named = {path for (path,) in db.execute("SELECT path FROM pictures")}
        db.close()
        assert set(files(self.store)) == named
        assert self.store.verify() == 0
        assert self.store.figures().losses == {}

    @invariant()
    def every_read_was_told_to_hq(self) -> None:
        told = {(row.ref, row.body) for row in rows(self.store) if row.kind == "read"}
        for kept in self.kept.values():
            assert any(ref == kept.read_id for ref, _ in told)

    def _new_id(self) -> str:
        """The same ids in every run of the same steps, or Hypothesis could not replay them."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, str(next(self.numbers))))

    def _hits(self, of: Read, count: int) -> list[Hit]:
        return [hit(of, hit_id=self._new_id()) for _ in range(count)]

    def _write(self, write: Callable[[], Read | None], cut: int | None) -> None:
        stored = self._with_cut(write, cut)
        if isinstance(stored, Read):
            self.kept[stored.read_id] = stored

    def _with_cut(self, act: Callable[[], object], cut: int | None) -> object:
        """Do it; where the power is cut, start again as a unit does."""
        if cut is None:
            return act()
        try:
            with power_cut(cut):
                return act()
        except PowerCut:
            self.restart()
            return None

    def _may_go(self) -> set[str]:
        db = store_db.open_database(self.folder).conn
        now = self.clock.now().wall
        assert now is not None
        may_go = set()
        for read_id in self.kept:
            since = outbox.receipted_since(db, read_id)
            if since is not None and time_value(since) <= now - GRACE:
                may_go.add(read_id)
        db.close()
        return may_go


def _size(examples: int, steps: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


class TestUnit(Unit.TestCase):  # type: ignore[misc, name-defined]
    settings = _size(12, 15)


@pytest.mark.slow
class TestUnitForLong(Unit.TestCase):  # type: ignore[misc, name-defined]
    settings = _size(60, 30)
