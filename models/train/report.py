"""What was scored, to be read: the model card's tables, two models in pairs, sheets of misreads.

Owns how figures are shown; what they count is `train.evaluate`'s.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from detector.image import Light, crop_quad, open_image
from train.counts import mcnemar, share_of

if TYPE_CHECKING:
    from train.evaluate import Found, Key, Located, Miss, Scores

RATES = (0.05, 0.1)
"""False boxes an image at which recall is told; pairs are compared at the first."""
_EDGES = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.98, 1.01)
_CELL = (200, 116)
_COLUMNS = 6


def tables(scores: Scores) -> Iterator[str]:
    """The tables of the model card, in Markdown; shares in percent with Wilson's interval."""
    photos = max(scores.photos, 1)
    if scores.photos:
        yield f"{scores.photos} photographs, {np.median(scores.ms):.1f} ms each (median, locate and read)\n"
        yield (
            "Recall at so many false boxes an image: the threshold on the score of both looks is the least"
            " that keeps to them, found on these same photographs.\n"
        )
        yield from _located("as labelled", scores.labels)
        if scores.corner_errors:
            yield (
                "\nJudged by corners that were drawn by hand, on the"
                f" {scores.drawn.photos} photographs in which every plate of 40 px and more was looked at:\n"
            )
            yield from _located("as drawn", scores.drawn)
            half, most = np.percentile(scores.corner_errors, (50, 90)) * 100
            yield (
                f"\ncorners lie {half:.1f} percent of the plate's width from the drawn ones at the median,"
                f" {most:.1f} at the ninth decile, over {len(scores.corner_errors)} plates"
            )
        yield f"\ntexts shown an image that lie on no plate: {scores.false_shown / photos:.3f}\n"
        yield from _read("from the picture", scores.read, scores.alike)
        yield f"\nof the texts shown at the default confidence: {scores.shown_right} right\n"
        yield from _read("as `platewarden read` shows it", scores.shown, scores.shown_alike)
        yield f"\ntexts that it shows an image that lie on no plate: {scores.command_false / photos:.3f}"
    if scores.crops:
        yield (
            "\nCrops at their labelled place. A serial holds a digit and fits a serial format of its country;"
            " the rest is vanity.\n"
        )
        yield from _read("from crops", scores.crops, scores.crops_alike)
    if scores.filled:
        yield "\nCrops that are files of their own, given to `platewarden read` as they are.\n"
        yield from _read("where the plate fills the picture", scores.filled, scores.filled_alike)
    if scores.confidences:
        yield "\n| confidence | readings | mean confidence | right |\n|---|---|---|---|"
        pairs = np.array(scores.confidences, np.float64)
        for low, high in pairwise(_EDGES):
            some = pairs[(pairs[:, 0] >= low) & (pairs[:, 0] < high)]
            if len(some):
                means = f"{some[:, 0].mean():.3f} | {some[:, 1].mean():.3f}"
                yield f"| {low:g}-{min(high, 1):g} | {len(some)} | {means} |"


def _located(how: str, located: Located) -> Iterator[str]:
    """Recall as the models are, and at each rate of false boxes."""
    limits = [located.threshold_at(rate) for rate in RATES]
    heads = " | ".join(f"at most {rate:g} false boxes an image" for rate in RATES)
    yield f"| located (IoU 0.5), {how}, percent | as the models are | {heads} |\n|---|---|" + "---|" * len(
        RATES
    )
    for row, found in sorted(located.plates.items()):
        shares = [share_of(box is not None and box.kept for box in found.values())]
        shares += [share_of(at_limit(found, limit).values()) for limit in limits]
        yield f"| {row} | " + " | ".join(map(str, shares)) + " |"
    false = [sum(box.kept for box in located.false)]
    false += [sum(box.score >= limit for box in located.false) for limit in limits]
    yield (
        "| false boxes an image | "
        + " | ".join(f"{count / max(located.photos, 1):.3f}" for count in false)
        + " |"
    )
    yield "| threshold | the sidecar's | " + " | ".join(f"{limit:.3f}" for limit in limits) + " |"


def at_limit(found: Mapping[Key, Found | None], limit: float) -> dict[Key, bool]:
    """Of each labelled plate whether a box of at least the score `limit` locates it."""
    return {key: box is not None and box.score >= limit for key, box in found.items()}


def _read(
    how: str, strict: Mapping[str, Mapping[Key, bool]], alike: Mapping[str, Mapping[Key, bool]]
) -> Iterator[str]:
    yield f"| read exactly, {how} | percent | with O = 0, I = 1 |\n|---|---|---|"
    for row in sorted(strict):
        yield f"| {row} | {share_of(strict[row].values())} | {share_of(alike[row].values())} |"


def measures(scores: Scores) -> dict[str, dict[Key, bool]]:
    """Every row that two models are compared in, with what came of each plate."""
    found = {}
    for what, side in (("located", scores.labels), ("located as drawn", scores.drawn)):
        limit = side.threshold_at(RATES[0])
        found |= {f"{what}, {row}": at_limit(boxes, limit) for row, boxes in sorted(side.plates.items())}
    for how, strict, alike in (
        ("read", scores.read, scores.alike),
        ("shown", scores.shown, scores.shown_alike),
        ("crop read", scores.crops, scores.crops_alike),
        ("plate that fills the picture read", scores.filled, scores.filled_alike),
    ):
        found |= {f"{how}, {row}": dict(plates) for row, plates in sorted(strict.items())}
        if strict:
            found[f"{how}, all, O = 0, I = 1"] = dict(alike["all"])
    return found


def pairs(one: Scores, other: Scores, names: tuple[str, str], differ: Path) -> Iterator[str]:
    """Two models over the same plates: one table, and in `differ` the plates on which they differ.

    `differ` gets lines of row, picture, place in its labels, and which of `names` is right, between tabs.
    """
    yield (
        f"\n{names[0]} against {names[1]}: the same plates, each at its own threshold for {RATES[0]:g} false"
        " boxes an image; p by McNemar's exact test\n"
    )
    yield f"| row | {names[0]} | {names[1]} | only the first | only the second | p |"
    yield "|---|---|---|---|---|---|"
    theirs, lines = measures(other), []
    for row, plates in measures(one).items():
        both = {key: (right, theirs[row][key]) for key, right in plates.items() if key in theirs.get(row, {})}
        shares = [share_of(outcome[side] for outcome in both.values()) for side in (0, 1)]
        firsts = [key for key, outcome in both.items() if outcome == (True, False)]
        seconds = [key for key, outcome in both.items() if outcome == (False, True)]
        p = mcnemar(len(firsts), len(seconds))
        yield f"| {row} | {shares[0]} | {shares[1]} | {len(firsts)} | {len(seconds)} | {p:.3g} |"
        for name, keys in zip(names, (firsts, seconds), strict=True):
            lines += [f"{row}\t{picture}\t{place}\t{name}\n" for picture, place in keys]
    differ.parent.mkdir(parents=True, exist_ok=True)
    differ.write_text("".join(lines), encoding="utf-8")


def sheet(misreads: Sequence[Miss], out: Path, most: int = 240) -> None:
    """A picture of misread plates, each with its label and what was read: for the eye, not for keeping.

    Where there are more than `most`, some from every part are drawn.
    """
    some = misreads[:: math.ceil(len(misreads) / most) or 1]
    rows = max(math.ceil(len(some) / _COLUMNS), 1)
    canvas = Image.new("RGB", (_CELL[0] * _COLUMNS, _CELL[1] * rows), "white")
    draw = ImageDraw.Draw(canvas)
    for number, miss in enumerate(some):
        picture = open_image(miss.file)
        x, y, w, h = miss.box or (0.0, 0.0, float(picture.shape[1]), float(picture.shape[0]))
        corners = ((x, y), (x + w, y), (x + w, y + h), (x, y + h))
        crop = crop_quad(picture, corners, 0.1 if miss.box else 0.0, (80, 196), Light.RGB)
        left, top = number % _COLUMNS * _CELL[0], number // _COLUMNS * _CELL[1]
        canvas.paste(Image.fromarray(crop), (left, top))
        draw.text((left + 4, top + 84), f"{miss.label} read {miss.read or 'nothing'}", "black", font_size=14)
    out.parent.mkdir(parents=True, exist_ok=True)
    canvas.save(out)
