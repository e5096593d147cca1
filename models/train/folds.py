"""Which side of the split a photograph is on, five folds by source photograph; which plates have two lines.

Fold 0 is the validation split: the committed models never see it. The pooled figures of the model
card come from the pairs of models of GROUPS, each judged on folds that it did not see.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

FOLDS = 5
VALIDATION = 0
GROUPS = ((0,), (1, 2), (3, 4))
"""The folds that one pair of models is judged on: three pairs cover all five folds, each photograph judged by
models that never saw it. The second and third pair learn from three fifths of the photographs."""


def two_lines() -> dict[tuple[str, int], int | None]:
    """The labelled plates of two lines, from two_lines.txt.

    Returns:
        By (image, place in the record's plates): how many characters of the text stand on the upper line;
        None where the text is not all that stands there.
    """
    lines = Path(__file__).with_name("two_lines.txt").read_text().splitlines()
    cells = (line.rsplit(" ", 2) for line in lines if line and not line.startswith("#"))
    return {(image, int(place)): None if upper == "-" else int(upper) for image, place, upper in cells}


def fold_of(record: Mapping[str, Any]) -> int:
    """The fold, 0..FOLDS-1, of one line of scenes.jsonl or crops.jsonl.

    A crop goes with the photograph that it was cut from, frames of one dash camera ride stay
    together, and Brazilian crops, of which one plate has several, go by their text.
    """
    if record.get("scene"):
        key = str(record["scene"])
    elif record["set"] == "br_openalpr":
        key = f"br/{record['text']}"
    else:
        key = str(record["image"])
    if "dayride" in key:
        key = PurePosixPath(key).name.split(".mp4")[0]
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") % FOLDS
