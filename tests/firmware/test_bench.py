"""The bench's own arithmetic, and small runs of what it measures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from detector.types import Detection, PlateText
from firmware import bench_models, config, measure
from firmware.bench import STAGES, Stopwatch, percentile, run_pipeline, spread
from firmware.bench_lists import bench_lists
from firmware.bench_unit import start_unit
from firmware.commands.bench import _model_lines, _street_lines
from firmware.errors import IoError
from firmware.hotlist import HotList
from hw.protocols import Pixels

MODELS = config.default_models()


def burn() -> int:
    return sum(number * number for number in range(200_000))


def test_a_stage_within_another_is_taken_out_of_it() -> None:
    watch = Stopwatch()
    with watch.stage("outer"):
        for _ in range(3):
            with watch.stage("inner"):
                burn()
    (outer,) = watch.cpu["outer"]
    assert len(watch.cpu["inner"]) == 3
    assert outer < min(watch.cpu["inner"])


def test_a_call_that_fails_is_timed_all_the_same() -> None:
    watch = Stopwatch()
    with pytest.raises(ZeroDivisionError):
        watch.wrap("bad", lambda: burn() / 0)()
    assert watch.cpu["bad"][0] > 0


def test_percentiles_are_values_that_occurred() -> None:
    values = [float(number) for number in range(1, 101)]
    assert percentile(values, 0.95) == 96.0
    assert spread(values) == {"median": 50.5, "p95": 96.0, "n": 100}
    assert spread([]) == {"median": 0.0, "p95": 0.0, "n": 0}


def test_a_unit_that_does_not_start_is_told_with_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(IoError, match=r"unit\.id"):
        start_unit(tmp_path, ["--set", "unit.id=NOT ALLOWED", "run"])


def test_a_small_hot_list_is_measured(tmp_path: Path) -> None:
    found = bench_lists(tmp_path, 2_000, 20)
    assert (found["entries"], found["patterns"]) == (2_000, 20)
    assert found["file_mb"] > 0
    assert 0 < found["lookup_ms"]["median"] <= found["patterns_ms"]["median"]


def test_a_random_list_holds_plates_of_real_forms(tmp_path: Path) -> None:
    measure.random_list(tmp_path / "list.sqlite", 500, ["TEST123"])
    with HotList.open(tmp_path / "list.sqlite") as hot_list:
        assert 490 < hot_list.entries <= 501
        assert [match.entry.plate for match in hot_list.match("TEST123")] == ["TEST123"]


def test_operations_of_a_model_are_those_counted_by_hand() -> None:
    """The second look: convolutions of 3 x 3 at halved sizes, then two full connections."""
    convolutions = [(3, 16, 32 * 64), (16, 32, 16 * 32), (32, 64, 8 * 16), (64, 96, 4 * 8)]
    entering = sum(9 * inner * outer * places for inner, outer, places in convolutions)
    blocks = sum(2 * 9 * outer * outer * places for _, outer, places in convolutions[1:])
    full = 96 * 4 * 8 * 160 + 160 * 9
    assert bench_models.macs(MODELS / "corners.tflite") == entering + blocks + full


def test_a_model_takes_time_and_no_more_runs_than_a_frame_needs() -> None:
    found = bench_models.cost(MODELS / "corners.tflite", 3)
    assert found["bytes"] == (MODELS / "corners.tflite").stat().st_size
    assert min(found["cpu_ms"]["1"], found["wall_ms"]["2"]) > 0
    runs, rest = bench_models.a_frame(MODELS, [np.zeros((384, 640, 3), np.uint8)] * 2, once=False)
    assert 0 <= rest < 1000
    assert runs["locator"] == 1
    assert runs["ocr"] <= 3


def test_the_estimate_is_networks_by_their_operations_and_the_rest_by_the_core() -> None:
    board = bench_models.Board("board", {1: 1e9, 4: 2e9}, slower=5.0, rest_ms=20.0, wanted=15.0)
    costs = {
        "a": {"macs": 100_000_000, "cpu_ms": {"1": 1.0}},
        "b": {"macs": 50_000_000, "cpu_ms": {"1": 2.0}},
    }
    found = bench_models.estimate(board, costs, {"a": 1.0, "b": 1.0}, rest_ms=4.0)
    assert found["1"] == pytest.approx({"networks_ms": 150.0, "rest_ms": 20.0, "frames_s": 1e3 / 170})
    assert found["4"] == pytest.approx({"networks_ms": 75.0, "rest_ms": 20.0, "frames_s": 1e3 / 95})
    costs_told = {**costs["a"], "bytes": 1234, "cpu_ms": {"1": 1.0, "2": 1.5}, "wall_ms": {"2": 0.8}}
    result = {
        "models": {"a": {**costs_told, "runs_a_frame": 1.0, "runs_late": 1.0}},
        "estimate": {"board": {"wanted": 15.0, **found}},
    }
    lines = _model_lines(json.loads(json.dumps(result)))
    assert any("ESTIMATE" in line for line in lines)
    assert any("board" in line and "6 frames/s (15 wanted)" in line for line in lines)


def test_a_boards_pace_is_what_its_networks_did_and_the_rest_of_a_frame() -> None:
    board = bench_models.Board("board", {1: 1e9, 4: 2e9}, slower=5.0, rest_ms=20.0, wanted=15.0)
    reader, networks = bench_models.counted(MODELS)
    busy = bench_models.pace(board, MODELS, networks)
    assert reader.locate(np.zeros((384, 640, 3), np.uint8)) == []
    done = sum(bench_models.macs(MODELS / bench_models.MODELS[name]) * n for name, n in networks.runs.items())
    assert networks.runs["locator"] == 1
    assert networks.cpu_ms > 0
    assert busy() == pytest.approx(done / 2e9 + 0.02)
    assert busy() == pytest.approx(0.02)


def settings(folder: Path) -> config.Settings:
    overrides = [
        "unit.id=bench",
        f"store.directory={folder / 'store'}",
        f"hotlist.file={folder / 'list.sqlite'}",
        "camera.source=street:day",
        "detector.min_confidence=0.5",
    ]
    return config.load([], environ={}, overrides=overrides)


@pytest.mark.slow
def test_the_loops_own_part_is_small(tmp_path: Path) -> None:
    from detector.reader import Reader

    chosen = settings(tmp_path)
    shown = measure.coming(chosen.camera.seed, "day", 50)
    measure.random_list(chosen.hotlist.file, 100, [one.text for one in shown])
    pipeline = run_pipeline(chosen, Reader.open(MODELS), 120)
    assert pipeline.frames >= 120
    assert pipeline.reads >= 1
    assert all(pipeline.watch.cpu[stage] for stage in STAGES if stage != "signal")
    assert pipeline.overhead < 0.05


@pytest.mark.slow
def test_a_part_of_the_measuring_street_is_counted(tmp_path: Path) -> None:
    from detector.reader import Reader
    from firmware.listwatch import ListWatch
    from hw.sim.clock import SimClock

    chosen = settings(tmp_path)
    measure.random_list(chosen.hotlist.file, 100)
    begun: list[int] = []
    lists = ListWatch(chosen.hotlist, SimClock())
    found = measure.measure_street(chosen, Reader.open(MODELS), 12, lists, begun.append)
    counts = found.all
    assert counts.passages == begun[-1] == 12
    assert counts.read + counts.missed == counts.exact + counts.wrong + counts.missed == 12
    assert sum(group.passages for group in found.by_width.values()) == 12
    assert counts.exact >= 4
    assert counts.duplicates == 0


@pytest.mark.slow
def test_what_passes_while_the_board_is_busy_is_not_seen(tmp_path: Path) -> None:
    from detector.reader import Reader
    from firmware.listwatch import ListWatch
    from hw.sim.clock import SimClock

    chosen = settings(tmp_path)
    measure.random_list(chosen.hotlist.file, 100)
    lists, reader, texts = ListWatch(chosen.hotlist, SimClock()), Reader.open(MODELS), []

    class Counting:
        def locate(self, image: Pixels) -> list[Detection]:
            return reader.locate(image)

        def read(self, image: Pixels, detection: Detection, once: bool = False) -> PlateText:
            texts.append(once)
            return reader.read(image, detection, once)

    free = measure.measure_street(chosen, Counting(), 12, lists, lambda begun: None)
    assert not any(texts)
    texts.clear()
    slow = measure.measure_street(chosen, Counting(), 12, lists, lambda begun: None, busy=lambda: 0.15)
    assert slow.frames < 0.7 * free.frames
    assert any(texts)


def test_the_streets_table_is_complete() -> None:
    counts = dict.fromkeys(("read", "exact", "wrong", "missed", "duplicates", "first_look", "best_look"), 1)
    counts |= {"passages": 10, "alike": 2}
    result = {
        "machine": {"processor": "x", "cores": 1, "system": "y", "python": "3", "runtime": "z", "load": 0.0},
        "models": {"ocr": "1"},
        "board": "pi-4",
        "fingerprint": "f" * 64,
        "frames": 100,
        "all": counts,
        "by_width": {"25-40": counts},
        "by_light": {"day": counts},
        "wide_by_light": {"night": counts},
        "false_reads": 2,
        "list_entries": 1_000_000,
        "false_hits": {"exact": 1, "lookalike": 0, "partial": 0},
    }
    text = "\n".join(_street_lines(json.loads(json.dumps(result))))
    assert "per 10,000 passages: 1000 exact (1), 0 lookalike (0), 0 partial (0)" in text
    assert "1 (10 %)" in text
    assert "ESTIMATE of a pi-4" in text
    assert "width 25-40" in text
    assert "light day" in text
    assert "50 px and more, night" in text
    assert "2 (20 %)" in text
