"""The one module that names the TFLite runtime, and the one door to a model file.

Owns: the choice of runtime (ai-edge-litert, else tflite-runtime 2.14 with numpy below 2), the check
of a model against its sidecar, the quantisation of pictures to int8 and back. What the outputs mean
is the affair of `detector.locate` and `detector.ocr`.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.errors import ModelError
from detector.sidecar import Sidecar, load_sidecar

RUNTIMES = {"ai-edge-litert": "ai_edge_litert.interpreter", "tflite-runtime": "tflite_runtime.interpreter"}
"""Name of the distribution -> module that holds its Interpreter, the preferred one first."""


_GREETING = b"INFO: Created TensorFlow Lite XNNPACK delegate"


def find_runtime(name: str | None = None) -> tuple[str, Callable[..., Any]]:
    """The runtime's name and its Interpreter class: the one named, else the first that is installed.

    Raises:
        ModelError: the name is unknown, nothing suitable is installed, or tflite-runtime stands beside
            a numpy that it cannot work with.
    """
    if name is not None and name not in RUNTIMES:
        raise ModelError(f"runtime {name!r} is not one of {', '.join(RUNTIMES)}")
    failures = []
    for candidate in [name] if name else list(RUNTIMES):
        if candidate == "tflite-runtime" and int(np.__version__.split(".")[0]) >= 2:
            failures.append(f"{candidate}: needs numpy below 2, found {np.__version__}")
            continue
        try:
            module = importlib.import_module(RUNTIMES[candidate])
        except ImportError as error:
            failures.append(f"{candidate}: {error}")
            continue
        return candidate, module.Interpreter
    raise ModelError("no TFLite runtime can be used: " + "; ".join(failures))


@contextmanager
def _without_greeting() -> Iterator[None]:
    """Leave out what LiteRT says on stderr of every model that it loads, which no option silences; the rest
    is passed on when the model is loaded."""
    stderr, said = os.dup(2), os.memfd_create("runtime")
    os.dup2(said, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        with open(said, "rb") as lines, open(stderr, "wb") as out:
            lines.seek(0)
            out.writelines(line for line in lines if not line.startswith(_GREETING))


class Model:
    """An int8 model, loaded and checked, that takes pictures as bytes and gives float32 arrays.

    Attributes:
        sidecar: what the model's .toml says.
        runtime: the name of the runtime that runs it.
    """

    def __init__(self, path: Path | str, threads: int = 1, runtime: str | None = None) -> None:
        """Load the .tflite file `path` with its sidecar.

        Raises:
            ModelError: hash, file, shapes or types are not what the sidecar says, or no runtime works.
        """
        self.path = Path(path)
        self.sidecar: Sidecar = load_sidecar(self.path)
        self.runtime, interpreter = find_runtime(runtime)
        try:
            with _without_greeting():
                self._interpreter = interpreter(model_path=str(self.path), num_threads=threads)
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ModelError(
                f"{self.path}: {self.runtime} cannot load the model: {str(error).splitlines()[0]}"
            ) from error
        self._prepare_input()
        self._prepare_outputs()

    def run(self, image: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """The outputs for one picture, dequantised to float32, in the order and shapes of the sidecar.

        Args:
            image: uint8 (height, width, channels) as the sidecar's input says; grey may lack the last axis.

        Raises:
            ModelError: the picture has another shape or type.
        """
        if (
            image.dtype != np.uint8
            or image.size != self._quantised.size
            or image.shape[:2] != self.sidecar.input.size
        ):
            raise ModelError(
                f"{self.path}: takes uint8 {self._quantised.shape[1:]}, not {image.dtype} {image.shape}"
            )
        picture = image.reshape(self._quantised.shape)
        if self._shift:
            np.bitwise_xor(picture, 0x80, out=self._quantised.view(np.uint8))
        else:
            np.take(self._table, picture, out=self._quantised, mode="clip")
        self._interpreter.set_tensor(self._input_index, self._quantised)
        self._interpreter.invoke()
        results = []
        for index, scale, zero in self._outputs:
            raw = self._interpreter.get_tensor(index).astype(np.float32)
            raw -= zero
            raw *= scale
            results.append(raw)
        return results

    def _prepare_input(self) -> None:
        details = self._interpreter.get_input_details()
        spec = self.sidecar.input
        shape = (1, spec.height, spec.width, spec.channels)
        found = [tuple(int(n) for n in detail["shape"]) for detail in details]
        if found != [shape]:
            raise ModelError(f"{self.path}: the model's input is {found}, its sidecar says {shape}")
        scale, zero = self._quantisation(details[0], "input")
        self._input_index = int(details[0]["index"])
        pixels = np.arange(256, dtype=np.float64)
        exact = np.rint((pixels - spec.mean) * spec.scale / scale) + zero
        self._table: NDArray[np.int8] = np.clip(exact, -128, 127).astype(np.int8)
        # The common case, a byte minus 128, is one pass over the bytes without a table.
        self._shift = bool(np.array_equal(self._table, np.arange(-128, 128)))
        self._quantised: NDArray[np.int8] = np.zeros(shape, np.int8)

    def _prepare_outputs(self) -> None:
        details = self._interpreter.get_output_details()
        if len(details) != len(self.sidecar.outputs):
            raise ModelError(
                f"{self.path}: has {len(details)} outputs, its sidecar says {len(self.sidecar.outputs)}"
            )
        self._outputs: list[tuple[int, np.float32, np.float32]] = []
        for spec in self.sidecar.outputs:
            if spec.tensor >= len(details):
                raise ModelError(
                    f"{self.sidecar.path}: output {spec.name}: the model has no output {spec.tensor}"
                )
            detail = details[spec.tensor]
            shape = tuple(int(n) for n in detail["shape"])
            if shape != spec.shape:
                raise ModelError(f"{self.path}: output {spec.name} is {shape}, its sidecar says {spec.shape}")
            scale, zero = self._quantisation(detail, f"output {spec.name}")
            self._outputs.append((int(detail["index"]), np.float32(scale), np.float32(zero)))

    def _quantisation(self, detail: dict[str, Any], name: str) -> tuple[float, int]:
        scale, zero = detail["quantization"]
        if detail["dtype"] is not np.int8 or scale <= 0.0:
            raise ModelError(f"{self.path}: {name} is not quantised int8")
        return float(scale), int(zero)
