"""What the models cost: multiply-accumulates, bytes, milliseconds here, and an estimate for a Raspberry Pi.

Owns the counting of operations, the timing of one run of each network, and the reasoning of the estimate. The
unit's stages are `firmware.bench`.

The estimate, of which a third either way must be expected:

- A Pi 4's four cores take 24 ms for the int8 MobileNet v1 of 569 million multiply-accumulates with XNNPACK,
  which TFLite runs on, in a 64-bit system: 23.7 thousand million a second (README.md of google/XNNPACK,
  8 February 2022, end2end_bench). Most of its layers are 1x1, as good a matrix product as our 3x3, so its
  rate is taken for ours.
- One core is taken to do 0.36 of four, for they share memory: 8.5 thousand million. The ceiling of a
  Cortex-A72, 8 int8 products a cycle at 1.5 GHz, is 12.
- For the Pi 5 no such figure was found. 3 times the Pi 4 is taken: its Cortex-A76 has a dot product of 16
  int8 products, two a cycle, and 2.4 GHz, a ceiling of 6 times, on memory that is not six times as fast.
- What is no network (resizing, cutting out, decoding, Python) is taken to last 5 times, on a Pi 5 2.2 times
  as long as on the machine that the bench runs on. That is a guess for a server's core of today; between the
  two it keeps to the two to three times that Raspberry Pi gives for a Pi 5 over a Pi 4.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from detector.corners import Corners
from detector.image import Picture
from detector.locate import Locator
from detector.ocr import Ocr
from detector.reader import CORNERS, LOCATOR, OCR, Reader
from detector.runtime import Model, find_runtime

MODELS: Final = {"locator": LOCATOR, "corners": CORNERS, "ocr": OCR}


@dataclass(frozen=True, slots=True)
class Board:
    """A Raspberry Pi as the estimate sees it.

    Attributes:
        name: of the board.
        macs_s: int8 multiply-accumulates a second by the number of threads.
        slower: how many times as long as here a core takes for what is no network.
        rest_ms: of a frame with a plate what is no network, as estimated by the bench of docs/performance.md.
        wanted: frames a second that are aimed at.
    """

    name: str
    macs_s: Mapping[int, float]
    slower: float
    rest_ms: float
    wanted: float


_PI_4: Final = {1: 0.36 * 569e6 / 0.024, 4: 569e6 / 0.024}
BOARDS: Final = (
    Board("Pi 4", _PI_4, 5.0, 19.0, 15.0),
    Board("Pi 5", {threads: 3 * rate for threads, rate in _PI_4.items()}, 2.2, 8.0, 30.0),
)


def macs(path: Path) -> int:
    """Multiply-accumulates of one run of the .tflite file `path`: of its convolutions and full connections.

    The runtime's list of operators is its own affair, the same in both runtimes; only the bench asks for it.
    """
    _, opened = find_runtime()
    interpreter = opened(model_path=str(path))
    interpreter.allocate_tensors()
    shapes = {one["index"]: tuple(int(n) for n in one["shape"]) for one in interpreter.get_tensor_details()}
    total = 0
    for operator in interpreter._get_ops_details():
        name, inputs = operator["op_name"], operator["inputs"]
        if name not in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            continue
        weights, out = shapes[int(inputs[1])], shapes[int(operator["outputs"][0])]
        # Weights are (out, height, width, in), (1, height, width, out) and (out, in).
        each = weights[1] * weights[2] if name.startswith("DEPTHWISE") else math.prod(weights[1:])
        total += math.prod(out) * each
    return total


def cost(path: Path, runs: int) -> dict[str, Any]:
    """What one run of the model `path` costs.

    Args:
        path: of the .tflite file.
        runs: so many are timed, after two that are not.

    Returns:
        macs, bytes (of the file), cpu_ms and wall_ms (medians) by number of threads ("1", "2").
    """
    found: dict[str, Any] = {"macs": macs(path), "bytes": path.stat().st_size, "cpu_ms": {}, "wall_ms": {}}
    for threads in (1, 2):
        model = Model(path, threads)
        spec = model.sidecar.input
        shape = (spec.height, spec.width, spec.channels)
        picture = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
        times = []
        for _ in range(runs + 2):
            wall, cpu = time.perf_counter(), time.process_time()
            model.run(picture)
            times.append((time.process_time() - cpu, time.perf_counter() - wall))
        for name, values in zip(("cpu_ms", "wall_ms"), zip(*times[2:], strict=True), strict=True):
            found[name][str(threads)] = round(1e3 * float(np.median(values)), 3)
    return found


@dataclass(slots=True)
class Networks:
    """How often each model has run so far, and the CPU milliseconds that all of them took."""

    runs: dict[str, int] = field(default_factory=lambda: dict.fromkeys(MODELS, 0))
    cpu_ms: float = 0.0


def counted(folder: Path) -> tuple[Reader, Networks]:
    """The reader of the models in `folder`, and what its networks have done so far."""
    locator, corners, ocr = Locator(folder / LOCATOR), Corners(folder / CORNERS), Ocr(folder / OCR)
    networks = Networks()

    def counting(name: str, run: Callable[..., Any]) -> Callable[..., Any]:
        def call(image: Picture) -> Any:
            networks.runs[name] += 1
            began = time.process_time()
            try:
                return run(image)
            finally:
                networks.cpu_ms += 1e3 * (time.process_time() - began)

        return call

    for name, model in zip(MODELS, (locator.model, corners.model, ocr.model), strict=True):
        model.run = counting(name, model.run)  # type: ignore[method-assign]
    return Reader(locator, corners, ocr), networks


def a_frame(folder: Path, images: Sequence[Picture], once: bool) -> tuple[dict[str, float], float]:
    """What locating and reading the best plate in an image takes; `once` as of `detector.ocr.Ocr.read`.

    Returns:
        Of one image, on average: how often each model of `folder` runs, and CPU milliseconds of the rest.
    """
    reader, networks = counted(folder)
    began = time.process_time()
    for image in images:
        for best in reader.locate(image)[:1]:
            reader.read(image, best, once)
    rest_ms = 1e3 * (time.process_time() - began) - networks.cpu_ms
    return {name: count / len(images) for name, count in networks.runs.items()}, rest_ms / len(images)


def pace(board: Board, folder: Path, networks: Networks) -> Callable[[], float]:
    """Tells how many seconds `board` would have taken since it was last asked, networks on all of its cores.

    An estimate, as `estimate`. `networks` are those of `folder` (see `counted`).
    """
    each = {name: macs(folder / file) for name, file in MODELS.items()}
    rate, told = max(board.macs_s.values()), 0.0

    def since() -> float:
        nonlocal told
        before, told = told, sum(each[name] * count for name, count in networks.runs.items())
        return (told - before) / rate + board.rest_ms / 1e3

    return since


def estimate(
    board: Board, costs: Mapping[str, Mapping[str, Any]], late: Mapping[str, float], rest_ms: float
) -> dict[str, dict[str, float]]:
    """What one frame with a plate takes on `board`, the unit behind its camera: an estimate, see above.

    Args:
        board: the board.
        costs: of each model, as `cost` gives them.
        late: how often each model runs while the unit is behind: such a frame is what counts for the rate.
        rest_ms: CPU milliseconds of such a frame on this machine of what is no network.

    Returns:
        By threads of the networks: networks_ms and rest_ms, and frames_s, of a loop that does nothing else.
    """
    operations = sum(costs[name]["macs"] * count for name, count in late.items())
    rest = rest_ms * board.slower
    found = {}
    for threads, rate in board.macs_s.items():
        networks = 1e3 * operations / rate
        frames = 1e3 / (networks + rest)
        found[str(threads)] = {"networks_ms": networks, "rest_ms": rest, "frames_s": frames}
    return found
