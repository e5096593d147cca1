"""The rule behind look-alike hits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plates.lookalike import strength
from plates.match import lookalikes, state_agrees

texts = st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=4, max_size=8)


@given(texts, st.integers(0, 2))
def test_a_certain_reading_has_no_look_alikes(text: str, substitutions: int) -> None:
    """Else nearly every plate of a dense series would alarm for its listed neighbour."""
    assert lookalikes(text, [1.0] * len(text), {text: 1.0}, substitutions, 0.05) == {}


@given(texts, st.floats(0.0, 1.0), st.integers(0, 2))
def test_look_alikes_differ_by_at_most_so_many_confusions(text: str, sure: float, substitutions: int) -> None:
    found = lookalikes(text, [sure] * len(text), {}, substitutions, 0.01)
    for other, score in found.items():
        changed = [(a, b) for a, b in zip(text, other, strict=True) if a != b]
        assert 1 <= len(changed) <= substitutions
        assert all(strength(a, b) > 0 for a, b in changed)
        assert 0.01 <= score <= 1.0


def test_a_doubtful_character_makes_its_confusions_likely() -> None:
    found = lookalikes("8ABC123", [0.6, 1, 1, 1, 1, 1, 1], {}, 1, 0.05)
    assert set(found) == {"BABC123", "3ABC123"}
    assert found["BABC123"] > found["3ABC123"]


def test_a_candidate_of_the_ocr_weighs_by_its_probability() -> None:
    found = lookalikes("OAB123", [0.99] * 6, {"OAB123": 0.6, "0AB123": 0.3}, 1, 0.05)
    assert found == {"0AB123": 0.5}


def test_a_candidate_that_is_no_confusion_is_no_look_alike() -> None:
    assert lookalikes("AAB123", [0.99] * 6, {"AAB123": 0.5, "XAB123": 0.4}, 1, 0.05) == {}


def test_states_agree_disagree_or_are_unknown() -> None:
    assert state_agrees("CA", "CA") is True
    assert state_agrees("CA", "NV") is False
    assert state_agrees("", "NV") is None
    assert state_agrees("CA", "") is None


def test_candidate_scores_by_itself_where_the_reading_is_no_candidate() -> None:
    """A doubtful candidate never scores as if it were certain, whatever the vote elected."""
    sure = [0.99] * 6
    assert lookalikes("OOPS77", sure, {"0OPS77": 0.01}, 1, 0.05) == {}
    assert lookalikes("OOPS77", sure, {"0OPS77": 0.4}, 1, 0.05)["0OPS77"] == pytest.approx(0.4)
