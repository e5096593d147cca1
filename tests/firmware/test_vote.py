"""How looks become one text."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from detector.types import Flag, PlateText
from firmware.vote import NOTHING, align, distance, elect
from tests.firmware.looks import reading

TEXT = st.text("ABC0128", min_size=0, max_size=8)
READING = st.builds(reading, TEXT, st.floats(0.0, 1.0))


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


@given(st.lists(READING, max_size=5))
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
