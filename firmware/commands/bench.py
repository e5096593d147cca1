"""`platewarden bench`: speed and memory of the unit on this machine; `bench street` counts its reads.

Owns the command's order of work and its tables. The measuring is `firmware.bench`, `firmware.bench_models`,
`firmware.bench_unit`, `firmware.bench_lists` and `firmware.measure`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firmware.errors import Exit, UsageError

if TYPE_CHECKING:
    from firmware.config import Settings

HELP = "measure speed and memory on this machine, or the reads of the measuring street"
TAKES_CONFIG = False
"""Machines are compared by it, so it measures under the same settings everywhere."""

FRAMES = 400
"""Frames of the pipeline."""
PLATES = 100
"""Frames with a plate that are located and read by themselves."""
FEW_PLATES = 20
"""Frames with a plate in which the runs of each model are counted."""
RUNS = 40
"""Runs of each model by itself."""
LIVE_S = 60.0
"""Seconds of street in real time."""
ENTRIES, PATTERNS = 1_000_000, 1_000
"""Of the hot list that is looked up."""

Say = Callable[[str], None]


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Without more: each stage's milliseconds, the whole pipeline, start-up, memory, delay of the alarm,"
        " look-ups in a hot list of a million. `street`: the fixed measuring street, read and counted."
    )
    parser.add_argument("what", nargs="?", choices=("speed", "street"), default="speed")
    parser.add_argument("--models", type=Path, metavar="DIR", help="models to measure (default: ours)")
    parser.add_argument(
        "--passages", type=int, metavar="N", help="of the street, from its first (default 1000)"
    )
    parser.add_argument(
        "--board", choices=("pi-4", "pi-5"), help="let the street pass at the pace that is estimated for it"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(args: argparse.Namespace) -> int:
    if args.passages is not None and args.what != "street":
        raise UsageError("--passages belongs to `bench street`")
    if args.board is not None and args.what != "street":
        raise UsageError("--board belongs to `bench street`")
    if args.passages is not None and args.passages < 1:
        raise UsageError("--passages must be at least 1")
    with tempfile.TemporaryDirectory(prefix="platewarden-bench-") as name:
        folder = Path(name)
        settings = _settings(folder, args.models)
        street = args.what == "street"
        result = _street(settings, args.passages, args.board) if street else _speed(settings, folder)
    if args.json:
        print(json.dumps(result))
    elif args.what == "street":
        print("\n".join(_street_lines(result)))
    else:
        print("\n".join(_speed_lines(result)))
    return Exit.OK


def _settings(folder: Path, models: Path | None) -> Settings:
    from detector.reader import Reader
    from firmware import config

    overrides = [
        "unit.id=bench",
        "unit.demo=true",
        f"store.directory={folder / 'store'}",
        f"hotlist.file={folder / 'hotlist.sqlite'}",
        "mqtt.enabled=false",
        "camera.source=street:day",
        *([] if models is None else [f"detector.models={models.absolute()}"]),
    ]
    settings = config.load([], environ={}, overrides=overrides)
    least = Reader.open(settings.detector.models).min_confidence
    return config.load([], environ={}, overrides=[*overrides, f"detector.min_confidence={least}"])


def _speed(settings: Settings, folder: Path) -> dict[str, Any]:
    from detector.reader import Reader
    from firmware import bench, bench_lists, bench_models, bench_unit, measure

    say = _progress()
    result: dict[str, Any] = {"machine": asdict(bench.Machine.this())}
    say("running each model by itself")
    folder_of_models = settings.detector.models
    costs = {
        name: bench_models.cost(folder_of_models / file, RUNS) for name, file in bench_models.MODELS.items()
    }
    say("locating and reading one plate")
    readers = {threads: Reader.open(settings.detector.models, threads) for threads in (1, 2)}
    for threads, times in bench.one_plate(bench.plate_frames(settings, PLATES), readers).items():
        result[f"threads_{threads}"] = times
    say("running the pipeline")
    # The street's own plates are listed, so that there is something to signal.
    shown = [one.text for one in measure.coming(settings.camera.seed, "day", FRAMES)]
    measure.random_list(settings.hotlist.file, 10_000, shown)
    pipeline = bench.run_pipeline(settings, readers[1], FRAMES)
    result["pipeline"] = {
        "frames": pipeline.frames,
        "opened": pipeline.opened,
        "reads": pipeline.reads,
        "frames_s": round(pipeline.frames_s, 1),
        "cpu_ms_a_frame": round(pipeline.cpu_ms / pipeline.frames, 2),
        "overhead": round(pipeline.overhead, 4),
        "stages_cpu_ms": {name: bench.spread(pipeline.watch.cpu[name]) for name in bench.STAGES},
        "stages_wall_ms": {name: bench.spread(pipeline.watch.wall[name]) for name in bench.STAGES},
    }
    images = list(bench.plate_frames(settings, FEW_PLATES))
    runs, _ = bench_models.a_frame(folder_of_models, images, once=False)
    late, rest = bench_models.a_frame(folder_of_models, images, once=True)
    stages = result["pipeline"]["stages_cpu_ms"]
    rest += stages["trigger"]["median"] + stages["passage"]["median"]
    result["models"] = {
        name: {**costs[name], "runs_a_frame": runs[name], "runs_late": late[name]} for name in costs
    }
    result["estimate"] = {
        board.name: {"wanted": board.wanted, **bench_models.estimate(board, costs, late, rest)}
        for board in bench_models.BOARDS
    }
    say("starting a unit")
    result["process"] = asdict(bench_unit.start_unit(folder, _unit_arguments(settings, folder)))
    say(f"the street in real time, {LIVE_S:.0f} s")
    result["alarm_s"] = bench.spread(bench_unit.alarm_delays(settings, readers[1], LIVE_S))
    say("looking up a million entries")
    result["hotlist"] = bench_lists.bench_lists(folder, ENTRIES, PATTERNS)
    say("")
    return result


def _unit_arguments(settings: Settings, folder: Path) -> list[str]:
    overrides = {
        "unit.id": "bench",
        "store.directory": folder / "unit",
        "hotlist.file": settings.hotlist.file,
        "mqtt.enabled": "false",
        "camera.source": "street:day",
        "detector.models": settings.detector.models,
        "log.level": "error",
    }
    sets = [part for name, value in overrides.items() for part in ("--set", f"{name}={value}")]
    return [*sets, "run", "--count", "150"]


def _street(settings: Settings, passages: int | None, board: str | None) -> dict[str, Any]:
    from firmware import bench, bench_models, measure
    from firmware.listwatch import ListWatch
    from hw.sim.clock import SimClock
    from hw.sim.traffic import MEASURE_PASSAGES

    say = _progress()
    count = min(passages or MEASURE_PASSAGES, MEASURE_PASSAGES)
    say("writing a hot list of a million random plates")
    measure.random_list(settings.hotlist.file, ENTRIES)
    reader, networks = bench_models.counted(settings.detector.models)
    boards = {one.name.lower().replace(" ", "-"): one for one in bench_models.BOARDS}
    models = settings.detector.models
    pace = {} if board is None else {"busy": bench_models.pace(boards[board], models, networks)}
    found = measure.measure_street(
        settings,
        reader,
        count,
        ListWatch(settings.hotlist, SimClock()),
        lambda begun: say(f"passage {begun} of {count}"),
        **pace,
    )
    say("")
    versions = {model.name: model.version for model in reader.models_info()}
    return {"machine": asdict(bench.Machine.this()), "models": versions, "board": board, **asdict(found)}


def _progress() -> Say:
    """Says on a terminal what is being done, on one line; nothing elsewhere."""
    if not sys.stderr.isatty():
        return lambda text: None
    return lambda text: print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def _speed_lines(result: Mapping[str, Any]) -> list[str]:
    pipeline, process, lists = result["pipeline"], result["process"], result["hotlist"]
    lines = [*_machine_lines(result["machine"]), ""]
    lines.append(f"{'stage':<26}{'CPU ms, median':>16}{'95 %':>9}{'wall ms':>9}{'calls':>7}")
    for name, cpu in pipeline["stages_cpu_ms"].items():
        wall = pipeline["stages_wall_ms"][name]["median"]
        lines.append(f"{name:<26}{cpu['median']:>16.2f}{cpu['p95']:>9.2f}{wall:>9.2f}{cpu['n']:>7}")
    for threads in (1, 2):
        one = result[f"threads_{threads}"]
        both = [one["locate_cpu_ms"]["median"] + one["read_cpu_ms"]["median"]]
        both.append(one["locate_wall_ms"]["median"] + one["read_wall_ms"]["median"])
        lines.append(
            f"locate + read, {threads} thread{'s' * (threads > 1):<4}{both[0]:>19.2f}{'':>9}{both[1]:>9.2f}"
        )
    lines += [
        "",
        *_model_lines(result),
        "",
        f"pipeline         {pipeline['frames_s']:.1f} frames/s, {pipeline['cpu_ms_a_frame']:.1f} ms CPU each;"
        f" {pipeline['opened']} of {pipeline['frames']} frames opened, {pipeline['reads']} reads",
        f"loop's own part  {100 * pipeline['overhead']:.1f} % of the CPU time",
        f"start-up         {process['ready_s']:.2f} s until ready",
        f"memory           {process['peak_mb']:.0f} MB resident at the peak",
        f"first readable look to alarm   median {result['alarm_s']['median']:.2f} s, "
        f"95 % {result['alarm_s']['p95']:.2f} s, {result['alarm_s']['n']} reads",
        f"hot list         {lists['entries']:,} entries: {lists['file_mb']:.0f} MB of file, "
        f"{lists['rss_mb']:.0f} MB of memory; look-up {lists['lookup_ms']['median']:.3f} ms, with "
        f"{lists['patterns']:,} patterns {lists['patterns_ms']['median']:.2f} ms",
    ]
    return lines


def _model_lines(result: Mapping[str, Any]) -> list[str]:
    head = f"{'model, one run':<16}{'million MACs':>13}{'bytes':>11}{'1 thread':>10}{'2 threads, CPU':>16}"
    lines = [f"{head}{'wall':>7}{'runs a frame':>14}{'late':>6}"]
    for name, cost in result["models"].items():
        one, two, wall = cost["cpu_ms"]["1"], cost["cpu_ms"]["2"], cost["wall_ms"]["2"]
        lines.append(
            f"{name:<16}{cost['macs'] / 1e6:>13,.1f}{cost['bytes']:>11,}{one:>10.2f}{two:>16.2f}{wall:>7.2f}"
            f"{cost['runs_a_frame']:>14.1f}{cost['runs_late']:>6.1f}"
        )
    lines += ["", "ESTIMATE, not measured (reasoning: docs/performance.md), of a frame with a plate, late"]
    for board, found in result["estimate"].items():
        for threads in ("1", "4"):
            part = found[threads]
            lines.append(
                f"{board}, networks on {threads} thread{'s' * (threads > '1'):<2}"
                f"{part['networks_ms']:>5.0f} ms of networks,{part['rest_ms']:>4.0f} ms of the rest:"
                f"{part['frames_s']:>4.0f} frames/s ({found['wanted']:.0f} wanted)"
            )
    return lines


def _street_lines(result: Mapping[str, Any]) -> list[str]:
    from firmware import measure

    every = result["all"]
    versions = ", ".join(f"{name} {version}" for name, version in result["models"].items())
    lines = [*_machine_lines(result["machine"]), f"models           {versions}"]
    lines += [f"street           {result['fingerprint'][:16]}, {result['frames']} frames"]
    if result["board"]:
        lines += [
            f"pace             ESTIMATE of a {result['board']}: what passes while it is busy is not seen"
        ]
    lines += [""]
    lines.append(
        _row(
            "", ["passages", "read", "exact", "O=0, I=1", "wrong", "missed", "twice", "1st look", "best look"]
        )
    )
    for title, group in (
        ("all", {"all": every}),
        ("width", result["by_width"]),
        ("light", result["by_light"]),
        (f"{measure.WIDE:.0f} px and more,", result["wide_by_light"]),
    ):
        for name, counts in group.items():
            label = name if title == "all" else f"{title} {name}"
            lines.append(_row(label, _cells(counts)))
    lines += [
        "",
        f"false reads      {result['false_reads']} (no plate where they were read)",
        f"false hits       {_false_hits(result['false_hits'], every['passages'])}"
        f" against {result['list_entries']:,} random plates",
    ]
    return lines


def _cells(counts: Mapping[str, int]) -> list[str]:
    return [
        str(counts["passages"]),
        _share(counts["read"], counts["passages"]),
        _share(counts["exact"], counts["passages"]),
        _share(counts["alike"], counts["passages"]),
        str(counts["wrong"]),
        str(counts["missed"]),
        str(counts["duplicates"]),
        _share(counts["first_look"], counts["passages"]),
        _share(counts["best_look"], counts["passages"]),
    ]


def _row(label: str, cells: Sequence[str]) -> str:
    return f"{label:<22}" + "".join(f"{cell:>12}" for cell in cells)


def _share(count: int, whole: int) -> str:
    return f"{count} ({100 * count / whole:.0f} %)" if whole else "0"


def _false_hits(hits: Mapping[str, int], passages: int) -> str:
    rates = [f"{10_000 * count / passages:.0f} {kind} ({count})" for kind, count in hits.items()]
    return f"per 10,000 passages: {', '.join(rates)}"


def _machine_lines(machine: Mapping[str, Any]) -> list[str]:
    return [
        f"machine          {machine['processor']}, {machine['cores']} cores, load {machine['load']:.1f}",
        f"system           {machine['system']}, Python {machine['python']}, {machine['runtime']}",
    ]
