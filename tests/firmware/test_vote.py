"""How looks become one text."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.types import Flag, PlateText
from firmware.vote import NOTHING, REGION_SURE, SUREST, align, distance, elect
from tests.firmware.looks import reading

TEXT = st.text("ABC0128", min_size=0, max_size=8)
READING = st.builds(reading, TEXT, st.floats(0.0, 1.0))
STATED = st.builds(
    lambda look, region, sure: replace(look, region=region, region_confidence=sure if region else 0.0),
    READING,
    st.sampled_from(["", "CA", "NV", "AZ"]),
    st.floats(0.0, 1.0),
)


def test_characters_are_elected_one_by_one() -> None:
    """No look read all of it; each misread another character."""
    vote = elect([reading("XEST123", 0.6), reading("TEXT123", 0.6), reading("TEST12X", 0.6)])
    assert vote.text == "TEST123"
    assert vote.agreeing == 0
    assert vote.looks == 3


def test_a_clear_look_outweighs_guesses_from_afar() -> None:
    assert elect([reading("TEST128", 0.3)] * 3 + [reading("TEST123", 0.95)]).text == "TEST123"


def test_a_look_that_lost_a_character_still_votes_for_the_others() -> None:
    vote = elect([reading("TEST12", 0.5), reading("TEST128", 0.5), reading("TEST128", 0.4)])
    assert vote.text == "TEST128"
    vote = elect([reading("EST123", 0.7), reading("TEST128", 0.6), reading("TEST123", 0.55)])
    assert vote.text == "TEST123"


def test_a_reading_cut_by_the_frames_edge_does_not_shorten_the_text() -> None:
    cut = reading("EST123", 0.9, flags=frozenset({Flag.EDGE}))
    assert elect([cut, cut, reading("TEST123", 0.8)]).text == "TEST123"


def test_the_candidates_of_the_looks_count() -> None:
    doubtful = reading("TEST1Z3", 0.5, ("TEST123", 0.45))
    assert elect([doubtful, reading("TEST123", 0.5)]).text == "TEST123"


def test_agreement_raises_and_dissent_lowers_the_confidence() -> None:
    one = reading("TEST123", 0.7)
    alone = elect([one]).confidence
    assert alone == 0.7
    assert elect([one, one]).confidence > alone
    assert elect([one, reading("TEST128", 0.6)]).confidence < alone


def test_nothing_read_is_nothing_elected() -> None:
    assert elect([]) == elect([PlateText("", 0.0)]) == NOTHING


@given(st.lists(STATED, max_size=5))
def test_the_order_of_the_looks_does_not_matter(looks: list[PlateText]) -> None:
    votes = {elect(order) for order in itertools.islice(itertools.permutations(looks), 24)}
    assert len(votes) == 1


@given(st.lists(READING, min_size=1, max_size=8))
def test_a_vote_is_well_formed(looks: list[PlateText]) -> None:
    vote = elect(looks)
    assert len(vote.char_confidence) == len(vote.text)
    assert all(0 <= share <= 1 for share in (*vote.char_confidence, vote.confidence))
    assert len({one.text for one in vote.candidates}) == len(vote.candidates) <= 10
    assert [one.probability for one in vote.candidates] == sorted(
        (one.probability for one in vote.candidates), reverse=True
    )
    assert bool(vote.text) == any(one.text for one in looks)


@given(TEXT, TEXT)
def test_distance_is_a_metric_and_alignment_keeps_the_order(one: str, other: str) -> None:
    assert distance(one, other) == distance(other, one)
    assert (distance(one, other) == 0) == (one == other)
    assert distance(one, other) <= max(len(one), len(other))
    placed = "".join(char for char in align(one, other) if char is not None)
    assert len(align(one, other)) == len(other)
    rest = iter(one)
    assert all(char in rest for char in placed)


def stated(region: str, sure: float, text: str = "TEST123") -> PlateText:
    return replace(reading(text, 0.9), region=region, region_confidence=sure)


def test_looks_that_agree_on_the_state_are_surer_than_the_best_of_them() -> None:
    alone = elect([stated("CA", 0.95)])
    assert (alone.region, alone.region_confidence) == ("CA", pytest.approx(0.95))
    both = elect([stated("CA", 0.95), stated("CA", 0.9)])
    # Not as sure as if the two were independent (0.994): they see the same plate in the same light.
    assert both.region == "CA"
    assert 0.95 < both.region_confidence < 0.98


def test_a_look_that_reads_another_text_still_tells_the_state() -> None:
    vote = elect([reading("TEST123", 0.9), stated("NV", 0.97, "TEST128")])
    assert (vote.text, vote.region) == ("TEST123", "NV")


@pytest.mark.parametrize(
    "looks",
    [
        [stated("CA", 0.95), stated("NV", 0.95)],
        [stated("CA", 0.95), stated("NV", 0.85)],
        [stated("CA", 0.97), stated("NV", 0.85), stated("AZ", 0.85)],
        [stated("CA", 0.6)],
        [stated("", 0.0), reading("TEST123", 0.9)],
    ],
)
def test_contradicting_or_doubtful_looks_name_no_state(looks: list[PlateText]) -> None:
    vote = elect(looks)
    assert (vote.region, vote.region_confidence) == ("", 0.0)


def test_a_doubtful_look_does_not_silence_a_sure_one() -> None:
    assert elect([stated("CA", 0.99), stated("NV", 0.6)]).region == "CA"


@given(st.lists(STATED, min_size=1, max_size=8))
def test_a_state_is_one_that_a_look_named_and_its_confidence_a_probability(looks: list[PlateText]) -> None:
    vote = elect(looks)
    assert vote.region in {"", *(look.region for look in looks if look.text)}
    assert vote.region_confidence == 0.0 if not vote.region else REGION_SURE <= vote.region_confidence < 1.0
    # Naming a state never touches the text.
    bare = elect([replace(look, region="", region_confidence=0.0) for look in looks])
    assert bare == replace(vote, region="", region_confidence=0.0)


@given(st.lists(STATED, min_size=1, max_size=8), st.floats(0.5, 1.0), st.booleans())
def test_a_further_look_speaks_for_its_own_state_only(
    looks: list[PlateText], sure: float, agrees: bool
) -> None:
    before = elect(looks)
    if before.region:
        after = elect([*looks, stated(before.region if agrees else "OR", sure)])
        if agrees:
            assert after.region == before.region
            assert after.region_confidence >= before.region_confidence - 1e-9
        elif after.region == before.region:
            assert after.region_confidence <= before.region_confidence + 1e-9
        else:
            assert after.region in ("", "OR")


@given(st.sampled_from(["CA", "TX"]), st.floats(REGION_SURE + 1e-6, 1.0))
def test_one_look_alone_keeps_its_own_confidence(region: str, sure: float) -> None:
    vote = elect([stated(region, sure)])
    assert (vote.region, vote.region_confidence) == (region, pytest.approx(min(sure, SUREST)))
