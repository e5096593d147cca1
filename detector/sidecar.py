"""What stands beside a model: NAME.toml next to NAME.tflite, the whole contract between training and use.

Owns the sidecar's keys, their types and ranges, and the check of the model file's hash. It does
not open the model; `detector.runtime` does and compares the tensors' shapes with what is said here.

    kind = "locator"                  # or "corners", or "ocr"
    version = "2026.11.24"
    sha256 = "<64 hex digits of the .tflite>"

    [input]
    height = 384
    width = 640
    channels = 3                      # 3: RGB, 1: grey
    mean = 0.0                        # the network's input is (pixel - mean) * scale,
    scale = 0.00392156862745098       # pixel being a byte, 0..255

    [[outputs]]
    name = "heat"
    tensor = 0                        # place among the .tflite's outputs
    shape = [1, 48, 80, 1]

    [locator]                         # only in a locator's
    stride = 8
    threshold = 0.35
    nms_iou = 0.4

    [corners]                         # only in a corners model's
    context = 0.5
    candidate = 0.1
    threshold = 0.4
    nms_iou = 0.4

    [ocr]                             # only in an OCR's
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    margin = 0.06
    min_confidence = 0.5
    calibration = [1.0, 0.0]

    [region]                          # only in an OCR's that names the plate's region too
    names = ["AK", "AL"]
    temperature = 1.3
    min_confidence = 0.9
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detector.errors import ModelError

KINDS = ("locator", "corners", "ocr")


@dataclass(frozen=True, slots=True)
class InputSpec:
    """The picture a model takes: uint8 (height, width, channels), made (pixel - mean) * scale inside."""

    height: int
    width: int
    channels: int
    mean: float
    scale: float

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return (self.height, self.width)


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """One output: its name, its place among the file's outputs, its shape with the batch first."""

    name: str
    tensor: int
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LocatorSpec:
    """How a locator's outputs become boxes.

    Attributes:
        stride: pixels of the model's input per cell of its outputs.
        threshold: the least score, 0..1, of a box that is kept.
        nms_iou: of two boxes that overlap more than this (intersection over union) the better stays.
    """

    stride: int
    threshold: float
    nms_iou: float


@dataclass(frozen=True, slots=True)
class CornersSpec:
    """How a second look at the locator's places becomes plates.

    Attributes:
        context: what the window shows around a place, as a share of its width and height on each side.
        candidate: the least score, 0..1, of a place of the locator that is looked at.
        threshold: the least score, 0..1, of a plate that is kept.
        nms_iou: of two plates that overlap more than this (intersection over union) the better stays.
    """

    context: float
    candidate: float
    threshold: float
    nms_iou: float


@dataclass(frozen=True, slots=True)
class OcrSpec:
    """How an OCR's output becomes text.

    Attributes:
        alphabet: the characters, in the order of the output's classes; a CTC blank comes after them.
        margin: what is taken around the corners, as a share of the plate's width and height.
        min_confidence: the default least confidence, 0..1, of a reading that is shown.
        calibration: the numbers that turn a score into a probability; what they are is the OCR's affair.
    """

    alphabet: str
    margin: float
    min_confidence: float
    calibration: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class RegionSpec:
    """How an OCR's second output becomes a region.

    Attributes:
        names: the regions, in the order of the output's classes; "none of them" comes after them.
        temperature: what the logits are divided by, so that their softmax is a probability.
        min_confidence: the least probability, 0..1, of a region that is named.
    """

    names: tuple[str, ...]
    temperature: float
    min_confidence: float


@dataclass(frozen=True, slots=True)
class Sidecar:
    """One model's sidecar. Of `locator`, `corners` and `ocr` the one is set that `kind` names; an OCR that
    tells regions has `region` too."""

    path: Path
    kind: str
    version: str
    sha256: str
    input: InputSpec
    outputs: tuple[OutputSpec, ...]
    locator: LocatorSpec | None = None
    corners: CornersSpec | None = None
    ocr: OcrSpec | None = None
    region: RegionSpec | None = None


def sidecar_path(model: Path) -> Path:
    """NAME.toml beside NAME.tflite."""
    return model.with_suffix(".toml")


def load_sidecar(model: Path | str) -> Sidecar:
    """Read and check the sidecar of the .tflite file `model`, and the file's hash against it.

    Raises:
        ModelError: a file is missing or no TOML, a key is missing, unknown, of a wrong type or out of
            its range, or the hash is another one. The line names the file and every wrong key.
    """
    model = Path(model)
    path = sidecar_path(model)
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path}: cannot read the model's sidecar: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: not a TOML file: {error}") from error
    sidecar = _parse(path, data)
    try:
        digest = hashlib.sha256(model.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelError(f"{model}: cannot read the model: {error.strerror}") from error
    if digest != sidecar.sha256:
        raise ModelError(
            f"{model}: the file's sha256 {digest[:12]}... is not the {sidecar.sha256[:12]}... of {path.name}"
        )
    return sidecar


def _parse(path: Path, data: Mapping[str, Any]) -> Sidecar:
    root = _Table(data, "", [])
    kind = root.text("kind")
    if kind and kind not in KINDS:
        root.wrong("kind", f"{kind!r} is not one of {', '.join(KINDS)}")
    version = root.text("version")
    sha256 = root.text("sha256")
    if sha256 and (len(sha256) != 64 or set(sha256) - set("0123456789abcdef")):
        root.wrong("sha256", "not 64 lower-case hex digits")
    table = root.table("input")
    spec = InputSpec(
        height=table.integer("height", 1, 8192),
        width=table.integer("width", 1, 8192),
        channels=table.integer("channels", 1, 3),
        mean=table.number("mean", -1e6, 1e6),
        scale=table.number("scale", 1e-9, 1e6),
    )
    if spec.channels == 2:
        table.wrong("channels", "2 is neither 1 (grey) nor 3 (RGB)")
    table.close()
    outputs = tuple(_output(table) for table in root.tables("outputs"))
    locator = corners = ocr = region = None
    if kind == "locator":
        table = root.table("locator")
        locator = LocatorSpec(
            stride=table.integer("stride", 1, 64),
            threshold=table.number("threshold", 0.0, 1.0),
            nms_iou=table.number("nms_iou", 0.0, 1.0),
        )
        table.close()
    elif kind == "corners":
        table = root.table("corners")
        corners = CornersSpec(
            context=table.number("context", 0.0, 2.0),
            candidate=table.number("candidate", 0.0, 1.0),
            threshold=table.number("threshold", 0.0, 1.0),
            nms_iou=table.number("nms_iou", 0.0, 1.0),
        )
        table.close()
    elif kind == "ocr":
        table = root.table("ocr")
        alphabet = table.text("alphabet")
        if len(set(alphabet)) != len(alphabet):
            table.wrong("alphabet", "a character occurs twice")
        ocr = OcrSpec(
            alphabet=alphabet,
            margin=table.number("margin", -0.5, 1.0),
            min_confidence=table.number("min_confidence", 0.0, 1.0),
            calibration=table.numbers("calibration"),
        )
        table.close()
        if "region" in data:
            table = root.table("region")
            region = RegionSpec(
                names=table.texts("names"),
                temperature=table.number("temperature", 0.01, 100.0),
                min_confidence=table.number("min_confidence", 0.0, 1.0),
            )
            table.close()
    root.close()
    if root.mistakes:
        raise ModelError(f"{path}: " + "; ".join(root.mistakes))
    return Sidecar(path, kind, version, sha256, spec, outputs, locator, corners, ocr, region)


def _output(table: _Table) -> OutputSpec:
    shape = tuple(int(n) for n in table.numbers("shape"))
    if any(n < 1 for n in shape):
        table.wrong("shape", "holds a number below 1")
    output = OutputSpec(table.text("name"), table.integer("tensor", 0, 63), shape)
    table.close()
    return output


class _Table:
    """One TOML table being read: takes keys out, collects every mistake with its full key."""

    def __init__(self, data: Mapping[str, Any], prefix: str, mistakes: list[str]) -> None:
        self.data = dict(data)
        self.prefix = prefix
        self.mistakes = mistakes

    def wrong(self, key: str, why: str) -> None:
        self.mistakes.append(f"{self.prefix}{key}: {why}")

    def _take(self, key: str, kinds: tuple[type, ...], name: str) -> Any:
        if key not in self.data:
            self.wrong(key, "missing")
            return None
        value = self.data.pop(key)
        if not isinstance(value, kinds) or isinstance(value, bool):
            self.wrong(key, f"{value!r} is not {name}")
            return None
        return value

    def text(self, key: str) -> str:
        value = self._take(key, (str,), "a text")
        if value == "":
            self.wrong(key, "empty")
        return value or ""

    def integer(self, key: str, low: int, high: int) -> int:
        value = self._take(key, (int,), "a whole number")
        if value is not None and not low <= value <= high:
            self.wrong(key, f"{value} is not within {low}..{high}")
        return value or 0

    def number(self, key: str, low: float, high: float) -> float:
        value = self._take(key, (int, float), "a number")
        if value is not None and not low <= value <= high:
            self.wrong(key, f"{value} is not within {low:g}..{high:g}")
        return float(value or 0.0)

    def numbers(self, key: str) -> tuple[float, ...]:
        value = self._take(key, (list,), "a list of numbers")
        if value is None:
            return ()
        if any(isinstance(n, bool) or not isinstance(n, int | float) for n in value):
            self.wrong(key, "not a list of numbers alone")
            return ()
        return tuple(float(n) for n in value)

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._take(key, (list,), "a list of texts")
        if value is not None and not all(isinstance(text, str) and text for text in value):
            self.wrong(key, "not a list of texts alone")
            return ()
        return tuple(value or ())

    def table(self, key: str) -> _Table:
        value = self._take(key, (dict,), "a table")
        return _Table(value or {}, f"{self.prefix}{key}.", self.mistakes if value is not None else [])

    def tables(self, key: str) -> list[_Table]:
        value = self._take(key, (list,), "a list of tables")
        if not value or not all(isinstance(item, dict) for item in value):
            if value is not None:
                self.wrong(key, "not a list of at least one table")
            return []
        return [_Table(item, f"{self.prefix}{key}[{i}].", self.mistakes) for i, item in enumerate(value)]

    def close(self) -> None:
        for key in self.data:
            self.wrong(key, "unknown key")
