"""Faults of a whole site: processes killed, network gone or stalled, disk full, files damaged.

After each: no committed read is lost, none is stored twice at the subscriber, what is missing is counted,
and the unit is alive or was started again.
"""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.broker import Broker, Proxy
from tests.system.faultsite import ROOT, Site

Road = Callable[[int], str]

MANY = 3000
"""More cars than a test waits for."""


@contextmanager
def running(site: Site) -> Iterator[Site]:
    """A site with all its parts; at the end the unit is stopped and everything is compared."""
    with site:
        site.start_hq()
        site.start_unit()
        yield site
        rest(site)


def rest(site: Site) -> None:
    """Stop the unit, start it once more until HQ has receipted everything, and compare the two."""
    committed = site.committed()
    assert site.stop("unit") == 0, site.log("unit")[-3000:]
    site.drain()
    site.check(committed)


def kill_unit_at_random_moments(site: Site, moments: int, seed: int) -> None:
    """Start it again and again, and kill it at most half a second after a read."""
    rng = random.Random(seed)
    with site:
        site.start_hq()
        for _ in range(moments):
            site.start_unit()
            site.wait_for_reads(1)
            time.sleep(rng.uniform(0.0, 0.5))
            committed = site.committed()
            site.kill("unit")
            here = site.committed()
            assert all(here.get(read_id, 0) >= revision for read_id, revision in committed.items())
        site.drain()
        site.check(committed)
        assert len(committed) >= moments


def test_a_unit_killed_at_3_random_moments_loses_no_committed_read(tmp_path: Path) -> None:
    """430.4-b: the short form of the test below, over a scripted board."""
    site = Site(tmp_path)
    kill_unit_at_random_moments(site, 3, seed=1)
    assert site.hq("SELECT COUNT(*) > 0 FROM hits") == [(1,)]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_unit_killed_at_50_random_moments_loses_no_committed_read(tmp_path: Path, road: Road) -> None:
    """430.4-b: SIGKILL amid camera, detector, store and link; each read reaches HQ once."""
    kill_unit_at_random_moments(Site(tmp_path, road(MANY)), 50, seed=2)


@pytest.mark.slow
@pytest.mark.parametrize("persistence", [True, False], ids=["persistent", "forgetful"])
def test_a_broker_killed_ten_times_loses_nothing(tmp_path: Path, persistence: bool, road: Road) -> None:
    """430.4-b: a PUBACK is not a receipt; what the broker forgot is sent again."""
    with running(Site(tmp_path, road(MANY), persistence=persistence)) as site:
        site.wait_for_reads(1)
        for _ in range(10):
            site.broker.restart()
            time.sleep(0.7)
        assert site.is_alive("unit")
        assert site.is_alive("hq")


@pytest.mark.slow
@pytest.mark.parametrize("persistence", [True, False], ids=["persistent", "forgetful"])
def test_a_subscriber_that_was_away_gets_everything(tmp_path: Path, persistence: bool, road: Road) -> None:
    with running(Site(tmp_path, road(MANY), persistence=persistence)) as site:
        site.wait_for_reads(1)
        site.kill("hq")
        site.wait_for_reads(3)
        site.broker.restart()
        site.wait_for_reads(1)
        site.start_hq()


@pytest.mark.slow
def test_a_stalled_network_stops_nothing(tmp_path: Path, road: Road) -> None:
    """The connection is open, and nothing comes through; reads go on and arrive afterwards."""
    broker = Broker(tmp_path / "broker", persistence=True)
    with (
        Proxy(broker.port) as proxy,
        running(Site(tmp_path, road(MANY), port=proxy.port, broker=broker)) as site,
    ):
        site.wait_for_reads(1)
        proxy.stalled = True
        before = len(site.committed())
        time.sleep(8)
        assert len(site.committed()) > before, "the loop waits for the network"
        proxy.stalled = False


@pytest.mark.slow
def test_a_full_disk_is_told_and_survived(
    tmp_path: Path, small_disk: Callable[[int], Path], road: Road
) -> None:
    """430.4-b: pictures are given up first, then reads; each is counted, and HQ hears of it."""
    disk = small_disk(48)
    site = Site(tmp_path, road(MANY), store=disk / "unit", options={"store.min_free_mb": 32})
    with running(site):
        site.wait_for_reads(2)
        ballast = disk / "log"
        free = shutil.disk_usage(disk).free
        ballast.write_bytes(bytes(free - 20_000_000))
        site.wait_for(lambda: site.losses().get("picture"), "scene pictures given up")
        ballast.write_bytes(bytes(free - 3_000_000))
        site.wait_for(lambda: site.losses().get("read"), "reads given up")
        assert site.is_alive("unit")
        ballast.unlink()
        site.wait_for_reads(2)
    kinds = dict(site.hq("SELECT kind, SUM(count) FROM losses GROUP BY kind"))
    assert kinds == site.losses(), "HQ knows of every loss"
    assert kinds["picture"] > 0 < kinds["read"]


@pytest.mark.slow
def test_a_damaged_picture_is_a_loss_under_its_own_number(tmp_path: Path, road: Road) -> None:
    with Site(tmp_path, road(MANY)) as site:
        site.start_unit()
        site.wait_for_reads(2)
        pictures = sorted((site.store / "pictures").rglob("*.jpg"))
        pictures[0].write_bytes(pictures[0].read_bytes()[:-1] + b"\0")
        pictures[1].unlink()
        site.start_hq()
        site.wait_for_reads(1)
        rest(site)
        assert site.hq("SELECT SUM(count) FROM losses WHERE kind = 'picture'") == [(2,)]
        assert site.losses() == {"picture": 2}


@pytest.mark.slow
def test_a_camera_that_fails_hangs_and_comes_back(tmp_path: Path) -> None:
    """Reads go on when it is back; meanwhile the status tells, and the outbox still drains."""
    with Site(tmp_path, options={"camera.timeout_s": 0.5}) as site:
        site.start_hq()
        site.start_unit()
        site.wait_for_reads(1)
        for fault in ("fails", "hangs"):
            site.switch.write_text(fault)
            site.wait_for(lambda: site.status().get("camera") == "failed", f"a camera that {fault} is told")
            assert site.is_alive("unit")
            site.switch.unlink()
            site.wait_for_reads(1)
        site.wait_for(lambda: site.status().get("camera") != "failed", "a camera that is back is told")
        rest(site)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["locator.tflite", "corners.tflite", "ocr.tflite", "locator.toml", "corners.toml", "ocr.toml"]
)
def test_a_corrupt_model_is_one_line_and_an_exit_code(tmp_path: Path, name: str, road: Road) -> None:
    models = tmp_path / "models"
    models.mkdir()
    for file in (ROOT / "models").glob("*.t*"):
        shutil.copy(file, models)
    damaged = bytearray((models / name).read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    (models / name).write_bytes(damaged)
    with Site(tmp_path, road(MANY), options={"detector.models": str(models)}) as site:
        site.start_unit()
        assert site.wait("unit") in (3, 4)
    # The runtime prints a line of its own when it has opened a model, such as the locator before the OCR.
    told = [line for line in site.log("unit").splitlines() if not line.startswith("INFO: Created TensorFlow")]
    assert len(told) == 1, told
    assert name.split(".")[0] in told[0]
    assert not (site.store / "platewarden.sqlite").exists() or site.committed() == {}


@pytest.mark.slow
def test_a_hot_list_of_garbage_stops_no_read(tmp_path: Path, road: Road) -> None:
    """The list in force cannot be used: that is told, and reads are still kept and sent."""
    site = Site(tmp_path, road(MANY))
    (tmp_path / "hotlist.sqlite").write_bytes(random.Random(3).randbytes(50_000))
    with running(site):
        site.wait_for_reads(2)
        site.wait_for(lambda: "hot list" in " ".join(site.status().get("faults", ())), "the fault is told")
