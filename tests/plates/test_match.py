"""The rule behind look-alike hits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plates.lookalike import strength
from plates.match import lookalikes, state_agrees

texts = st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=4, max_size=8)


@given(texts, st.integers(0, 2))
def test_a_certain_reading_has_no_look_alikes_but_where_one_glyph_stands_for_two(
    text: str, substitutions: int
) -> None:
    """Else nearly every plate of a dense series would alarm for its listed neighbour."""
    for other in lookalikes(text, [1.0] * len(text), {text: 1.0}, substitutions, 0.05):
        changed = {a + b for a, b in zip(text, other, strict=True) if a != b}
        assert changed <= {"0O", "O0", "1I", "I1"}


def test_one_glyph_for_two_characters_is_a_look_alike_however_sure_the_ocr_is() -> None:
    """In many states O and 0, I and 1 come off one die; what the list's clerk typed is chance."""
    sure = lookalikes("8OAB123", [1.0] * 7, {"8OAB123": 1.0}, 1, 0.05)
    assert sure == {"80AB123": 0.5, "8OABI23": 0.5}
    assert lookalikes("8OAB123", [1.0] * 7, {}, 0, 0.05) == {}


@given(texts, st.floats(0.0, 1.0), st.integers(0, 2))
def test_look_alikes_differ_by_at_most_so_many_confusions(text: str, sure: float, substitutions: int) -> None:
    found = lookalikes(text, [sure] * len(text), {}, substitutions, 0.01)
    for other, score in found.items():
        changed = [(a, b) for a, b in zip(text, other, strict=True) if a != b]
        assert 1 <= len(changed) <= substitutions
        assert all(strength(a, b) > 0 for a, b in changed)
        assert 0.01 <= score <= 1.0


def test_a_doubtful_character_makes_its_confusions_likely() -> None:
    found = lookalikes("8ABC723", [0.6, 1, 1, 1, 1, 1, 1], {}, 1, 0.05)
    assert set(found) == {"BABC723", "3ABC723"}
    assert found["BABC723"] > found["3ABC723"]


def test_a_candidate_of_the_ocr_weighs_by_its_probability() -> None:
    found = lookalikes("BAC723", [0.99] * 6, {"BAC723": 0.6, "8AC723": 0.3}, 1, 0.05)
    assert found == {"8AC723": 0.5}


def test_a_candidate_that_is_no_confusion_is_no_look_alike() -> None:
    assert lookalikes("AAB723", [0.99] * 6, {"AAB723": 0.5, "XAB723": 0.4}, 1, 0.05) == {}


def test_states_agree_disagree_or_are_unknown() -> None:
    assert state_agrees("CA", "CA") is True
    assert state_agrees("CA", "NV") is False
    assert state_agrees("", "NV") is None
    assert state_agrees("CA", "") is None
    assert state_agrees("NE", "NB") is True, "NCIC calls Nebraska NB"
    assert state_agrees("NE", "NV") is False


def test_candidate_scores_by_itself_where_the_reading_is_no_candidate() -> None:
    """A doubtful candidate never scores as if it were certain, whatever the vote elected."""
    sure = [0.99] * 6
    assert lookalikes("BEPS77", sure, {"8EPS77": 0.01}, 1, 0.05) == {}
    assert lookalikes("BEPS77", sure, {"8EPS77": 0.4}, 1, 0.05)["8EPS77"] == pytest.approx(0.4)
