"""The search from columns to texts, against the definition."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from detector import ctc

ALPHABET = "AB"


def spelled(path: tuple[int, ...]) -> str:
    """What a path of classes spells: repeats merged, blanks (the last class) left out."""
    merged = [k for k, _ in itertools.groupby(path)]
    return "".join(ALPHABET[k] for k in merged if k < len(ALPHABET))


def by_definition(columns: np.ndarray) -> dict[str, float]:
    """Every text's probability, summed over all paths."""
    sums: dict[str, float] = {}
    for path in itertools.product(range(columns.shape[1]), repeat=columns.shape[0]):
        probability = float(np.prod([columns[t, k] for t, k in enumerate(path)]))
        sums[spelled(path)] = sums.get(spelled(path), 0.0) + probability
    return sums


columns_of = arrays(np.float32, (4, 3), elements=st.floats(0.0625, 1.0, width=32)).map(
    lambda raw: raw / raw.sum(axis=1, keepdims=True)
)


@settings(max_examples=60)
@given(columns_of)
def test_wide_beam_finds_every_text_with_its_probability(columns: np.ndarray) -> None:
    expected = by_definition(columns)
    found = dict(ctc.decode(columns, ALPHABET, beam=200))
    for text, probability in expected.items():
        assert found[text] == pytest.approx(probability, abs=1e-4)


@settings(max_examples=60)
@given(columns_of)
def test_texts_come_best_first_and_never_sum_above_one(columns: np.ndarray) -> None:
    found = ctc.decode(columns, ALPHABET)
    probabilities = [p for _, p in found]
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) <= 1.0 + 1e-5
    assert len({text for text, _ in found}) == len(found)


def followed(columns: np.ndarray, beam: int) -> list[tuple[str, float]]:
    """The search written plainly: every text by every character, then the likeliest `beam`."""
    blank_at = len(ALPHABET)
    beams = {"": (1.0, 0.0)}
    for row in columns.astype(float):
        after: dict[str, list[float]] = {}
        for text, (ended, open_) in beams.items():
            after.setdefault(text, [0.0, 0.0])[0] += (ended + open_) * row[blank_at]
            for k, char in enumerate(ALPHABET):
                again = text.endswith(char)
                if again:
                    after[text][1] += open_ * row[k]
                new = after.setdefault(text + char, [0.0, 0.0])
                new[1] += (ended if again else ended + open_) * row[k]
        best = sorted(after.items(), key=lambda item: -sum(item[1]))[:beam]
        beams = {text: (sums[0], sums[1]) for text, sums in best}
    return sorted(((text, sum(sums)) for text, sums in beams.items()), key=lambda one: -one[1])


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_what_is_never_written_down_would_not_have_been_followed(seed: int, beam: int) -> None:
    raw = np.random.default_rng(seed).gamma(0.5, size=(12, 3)) + 0.01
    columns = (raw / raw.sum(axis=1, keepdims=True)).astype(np.float32)
    plainly = followed(columns, beam)
    found = ctc.decode(columns, ALPHABET, beam)
    assert [text for text, _ in found] == [text for text, _ in plainly]
    assert [p for _, p in found] == pytest.approx([p for _, p in plainly])


def test_double_letter_needs_a_blank_between() -> None:
    a, blank = [0.9, 0.02, 0.08], [0.02, 0.02, 0.96]
    assert ctc.decode(np.array([a, a, blank], np.float32), ALPHABET)[0][0] == "A"
    assert ctc.decode(np.array([a, blank, a], np.float32), ALPHABET)[0][0] == "AA"


def test_confidence_of_a_character_falls_where_candidates_disagree() -> None:
    sure, doubt, last = ctc.char_confidence([("8AB", 0.6), ("8XB", 0.3)])
    assert sure == last == pytest.approx(1.0)
    assert doubt == pytest.approx(0.6667, abs=1e-3)


def test_a_missing_character_leaves_both_of_its_sides_agreeing() -> None:
    first, middle, last = ctc.char_confidence([("8AB", 0.5), ("8B", 0.5)])
    assert first == last == pytest.approx(1.0)
    assert middle == pytest.approx(0.5)


def test_nothing_read_has_no_characters() -> None:
    assert ctc.char_confidence([("", 0.9), ("A", 0.1)]) == ()
