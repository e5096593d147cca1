"""Normalisation, look-alikes and patterns: what two readings, or two people, mean by the same plate."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plates.errors import PatternError, TextError
from plates.lookalike import CLASSES, CONFUSIONS, ONE_GLYPH, fold, one_glyph, strength
from plates.pattern import compile_pattern
from plates.text import ALPHABET, normalise

texts = st.text(sorted(ALPHABET), min_size=1, max_size=10)


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        ("abc 123", "ABC123"),
        ("AB-12–CD", "AB12CD"),
        ("ＡＢＣ１２３", "ABC123"),
        ("7·XYZ.001 ", "7XYZ001"),
    ],
)
def test_one_plate_written_in_several_ways_is_one_text(raw: str, plain: str) -> None:
    assert normalise(raw) == plain


@pytest.mark.parametrize("raw", ["", " - ", "ÄBC123", "ABC123456789", "АВС123"])
def test_what_is_no_plate_is_refused_without_repeating_it(raw: str) -> None:
    with pytest.raises(TextError) as caught:
        normalise(raw)
    assert not raw.strip(" -") or raw not in str(caught.value)


@given(texts)
def test_normalising_again_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == text


@given(st.text(max_size=30))
def test_any_text_gives_a_plate_or_an_error(raw: str) -> None:
    try:
        assert set(normalise(raw)) <= ALPHABET
    except TextError as error:
        assert "\n" not in str(error)


@given(texts)
def test_swapping_characters_of_a_class_keeps_the_folded_form(text: str) -> None:
    other = "".join(next((group[-1] for group in CLASSES if char in group), char) for char in text)
    assert fold(other) == fold(text)


def test_only_what_one_die_stamps_has_one_form() -> None:
    same = {a + b for a in ALPHABET for b in ALPHABET if a != b and one_glyph(a) == one_glyph(b)}
    assert same == ONE_GLYPH == {"0O", "O0", "1I", "I1"}
    assert one_glyph("DEMO1I0") == "DEM0110"


def test_confusions_are_mutual_and_never_of_a_character_with_itself() -> None:
    for a, others in CONFUSIONS.items():
        for b, strong in others.items():
            assert a != b
            assert strength(b, a) == strong
    assert strength("A", "A") == 1.0
    assert strength("A", "X") == 0.0


@given(texts, st.data())
def test_a_plate_fits_every_pattern_made_from_it(text: str, data: st.DataObject) -> None:
    """430.3(c): what a witness remembers of a plate matches that plate."""
    keep = data.draw(st.lists(st.booleans(), min_size=len(text), max_size=len(text)))
    kept = [char if known else "?" for char, known in zip(text, keep, strict=True)]
    tail = data.draw(st.sampled_from(["", "*"]))
    raw = "".join(kept) + tail
    if sum(keep) < 2 or (all(keep) and not tail):
        with pytest.raises(PatternError):
            compile_pattern(raw)
        return
    if len(raw) <= 10:
        pattern = compile_pattern(raw)
        assert pattern.matches(text)
        assert 0.0 < pattern.score(text) <= 1.0


def test_a_question_mark_is_one_character_and_a_star_any_number() -> None:
    assert compile_pattern("7A?C*").matches("7ABC12")
    assert compile_pattern("7A?C*").matches("7ABC")
    assert not compile_pattern("7A?C").matches("7AC")
    assert not compile_pattern("7A?C").matches("7ABBC")


@given(texts, st.data())
def test_a_plate_with_look_alikes_fits_the_pattern_by_so_many(text: str, data: st.DataObject) -> None:
    """430.3(c): wildcards and confusable classes; a witness takes O for 0 as a camera does."""
    others = [next((group for group in CLASSES if char in group), char) for char in text]
    seen = "".join(data.draw(st.sampled_from(group)) for group in others)
    differ = sum(a != b for a, b in zip(text[:-1], seen[:-1], strict=True))
    if len(text) < 3:
        return
    pattern = compile_pattern(f"{text[:-1]}?")
    assert pattern.matches_folded(fold(seen))
    assert pattern.replaced(seen) == differ
    assert pattern.matches(seen) == (differ == 0)
    assert pattern.score(seen, differ) <= pattern.score(text) * 0.5**differ


def test_a_run_is_laid_so_that_the_fewest_characters_are_look_alikes() -> None:
    pattern = compile_pattern("*0O*")
    assert [pattern.replaced(plate) for plate in ("0O", "A0OB", "00O", "OO1", "O0", "AB1", "0", "0XO")] == [
        0,
        0,
        0,
        1,
        2,
        None,
        None,
        None,
    ]


def test_look_alikes_widen_the_estimate() -> None:
    """430.3(c): the estimate that a person sees first counts what would really match."""
    assert compile_pattern("80C*").width() == pytest.approx(5 * compile_pattern("AXC*").width())


def test_width_falls_with_every_character_that_is_known() -> None:
    widths = [compile_pattern(raw).width() for raw in ("AB*", "ABC*", "ABC1*")]
    assert widths == sorted(widths, reverse=True)
    assert all(0 < width <= 1 for width in widths)
