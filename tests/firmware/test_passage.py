"""One vehicle is one read: tracking, the moment of the commit, revisions, parked cars."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.locate import MOST
from firmware.passage import OCCLUDED_S, Passages
from tests.firmware.looks import MIN_CONFIDENCE, SETTINGS, Lane, frame, look

PLATE = st.text("ABCDEFGHJKLMNPRSTUVWXYZ0123456789", min_size=6, max_size=7)


def test_a_passing_car_is_one_read_with_the_voted_text() -> None:
    lane = Lane()
    after = lane.drive("TEST123", 10.0)
    lane.tick(after + 5)
    assert lane.texts == ["TEST123"]
    assert lane.events[0].revision == 1


def test_the_first_look_does_not_win() -> None:
    lane = Lane()
    lane.add(0.0, look(0.0, "TEST1Z3", 0.55, x=100, width=30))
    for step, confidence in enumerate((0.9, 0.95, 0.9), 1):
        at = step / 15
        lane.add(at, look(at, "TEST123", confidence, x=100 + 40 * step, width=30 + 20 * step))
    lane.tick(3.0)
    assert lane.texts == ["TEST123"]


def test_a_settled_vote_is_committed_at_once() -> None:
    lane = Lane()
    for number in range(SETTINGS.settled_looks):
        at = number / 15
        events = lane.add(at, look(at, "TEST123", 0.9, x=100 + 60 * number))
    assert [event.vote.text for event in events] == ["TEST123"]
    assert events[0].vote.agreeing == SETTINGS.settled_looks


def test_a_frame_exposed_before_the_last_tick_belongs_to_the_same_passage() -> None:
    """The camera hands an image over some 50 ms after its exposure; no clock went back."""
    lane = Lane()
    for step in range(3):
        lane.add(0.1 * step, look(0.1 * step, "TEST123", 0.7, x=100 + 20 * step))
    due = lane.passages.due()
    assert due is not None
    lane.tick(due)
    assert lane.texts == ["TEST123"]
    for step in range(3):
        at = due - 0.05 + 0.1 * step
        lane.add(at, look(at, "TEST123", 0.9, x=160 + 20 * step, width=90))
    lane.finish()
    assert lane.texts == ["TEST123"]
    assert {event.read_id for event in lane.events} == {"read-0"}


@given(st.lists(st.sampled_from(["TEST123", "TEST128", "TES7123", "TE5T123"]), min_size=1, max_size=30))
def test_a_readable_car_is_committed_within_a_second_whatever_its_looks_say(texts: list[str]) -> None:
    lane = Lane()
    at = 0.0
    for number, text in enumerate(texts):
        at = number / 15
        lane.add(at, look(at, text, 0.6, x=100 + 20 * number))
        if at > 1.0:
            break
    if not lane.events:
        due = lane.passages.due()
        assert due is not None
        assert due < SETTINGS.commit_s
        assert lane.tick(due), "what is due is done"


def test_a_car_out_of_sight_is_committed_without_waiting_out_the_second() -> None:
    lane = Lane()
    lane.add(0.0, look(0.0, "TEST123", 0.9))
    due = lane.passages.due()
    assert due is not None
    assert due < 0.5
    assert [event.vote.text for event in lane.tick(due)] == ["TEST123"]


def test_a_later_clear_look_revises_the_read_under_its_id() -> None:
    lane = Lane()
    for number in range(4):
        at = number / 15
        lane.add(at, look(at, "TEST1Z3", 0.85, x=100 + 30 * number, width=40))
    for number in range(4, 9):
        at = number / 15
        lane.add(at, look(at, "TEST123", 0.99, x=100 + 30 * number, width=120 + number))
    lane.tick(5.0)
    assert lane.texts == ["TEST123"]
    assert {event.read_id for event in lane.events} == {"read-0"}
    assert [event.revision for event in lane.events] == list(range(1, len(lane.events) + 1))
    assert lane.events[-1].winner.text.text == "TEST123"
    assert any(event.winner.has_pixels for event in lane.events if event.vote.text == "TEST123")


def test_the_picture_is_of_the_look_that_read_the_text_best() -> None:
    lane = Lane()
    lane.add(0.0, look(0.0, "TEST123", 0.7, width=60))
    lane.add(0.1, look(0.1, "TEST123", 0.95, x=130, width=100))
    lane.add(0.2, look(0.2, "TEST128", 0.6, x=160, width=110))
    (event,) = lane.tick(1.2)
    assert event.vote.text == "TEST123"
    assert event.winner.frame.time.boottime == 0.1
    assert event.winner.has_pixels


def test_an_approaching_car_does_not_send_a_revision_per_frame() -> None:
    lane = Lane()
    for number in range(45):
        at = number / 15
        lane.add(at, look(at, "TEST123", min(0.6 + number / 60, 0.99), y=300 + number, width=30 + 3 * number))
    lane.tick(10.0)
    assert lane.texts == ["TEST123"]
    assert 2 <= len(lane.events) <= 4
    assert lane.events[-1].winner.detection.box[2] > 2 * lane.events[0].winner.detection.box[2]


def test_a_state_that_only_later_looks_tell_is_worth_one_revision() -> None:
    """430.3(f): the officer compares plate and state; from afar the plate's design is not to be seen."""
    lane = Lane()
    for number in range(12):
        at = number / 15
        seen = look(at, "TEST123", 0.9, x=100 + 60 * number, width=100)
        if number >= 8:
            seen = replace(seen, text=replace(seen.text, region="CA", region_confidence=0.95))
        lane.add(at, seen)
    lane.finish()
    assert [(event.revision, event.vote.region) for event in lane.events] == [(1, ""), (2, "CA")]


def test_more_of_the_same_is_no_revision() -> None:
    lane = Lane()
    for number in range(300):
        at = number / 15
        lane.add(at, look(at, "TEST123", 0.9))
    assert [event.revision for event in lane.events] == [1]


def test_a_parked_car_is_one_read_however_long_it_stands() -> None:
    lane = Lane()
    for second in range(3 * 3600):
        lane.add(float(second), look(float(second), "TEST123", 0.9 if second % 7 else 0.55))
    assert [event.parked for event in lane.events] == [False, True]
    assert lane.texts == ["TEST123"]


@settings(max_examples=30)
@given(gap=st.floats(0.1, 12 * 3600), text=st.sampled_from(["TEST123", "TEST1Z3", "TST123", ""]))
def test_a_parked_car_stays_one_read_through_a_trigger_that_slept(gap: float, text: str) -> None:
    """No frame was looked at in the gap, so nobody saw the place empty."""
    lane = Lane()
    for tenth in range(100):
        lane.add(tenth / 10, look(tenth / 10, "TEST123", 0.9))
    lane.tick(10 + gap)
    for tenth in range(100):
        at = 10 + gap + tenth / 10
        lane.add(at, look(at, text if tenth < 3 else "TEST123", 0.6 if text != "TEST123" else 0.9, x=105))
    lane.finish()
    assert lane.texts == ["TEST123"]


@settings(max_examples=30)
@given(hidden=st.floats(0.5, OCCLUDED_S - 10))
def test_a_parked_car_stays_one_read_behind_a_bus(hidden: float) -> None:
    lane = Lane()
    for tenth in range(50):
        lane.add(tenth / 10, look(tenth / 10, "TEST123", 0.9))
    at = 5.0
    while at < 5.0 + hidden:
        lane.add(at)
        at += hidden / 20
    for tenth in range(50):
        lane.add(at + tenth / 10, look(at + tenth / 10, "TEST123", 0.9))
    lane.finish()
    assert lane.texts == ["TEST123"]


def test_every_look_is_counted_however_long_the_car_stands() -> None:
    lane = Lane()
    for tenth in range(400):
        lane.add(tenth / 10, look(tenth / 10, "TEST123" if tenth % 4 else "TEST128", 0.9))
    parked = lane.events[-1]
    assert parked.parked
    assert parked.vote.looks == 201
    assert parked.vote.agreeing == 150


def test_a_parked_car_that_drives_off_adds_no_read() -> None:
    lane = Lane()
    for tenth in range(100):
        lane.add(tenth / 10, look(tenth / 10, "TEST123", 0.9))
    for step in range(8):
        at = 10 + step / 15
        lane.add(at, look(at, "TEST123", 0.8, x=100 + 15 * step * step))
    lane.tick(30.0)
    assert lane.texts == ["TEST123"]


def test_a_plate_seen_again_after_the_rearm_time_is_a_new_passage() -> None:
    lane = Lane()
    after = lane.drive("TEST123", 0.0)
    lane.tick(after + SETTINGS.rearm_s + 1)
    lane.drive("TEST123", after + SETTINGS.rearm_s + 2)
    lane.finish()
    assert lane.texts == ["TEST123", "TEST123"]


def test_a_plate_seen_again_before_it_is_the_same_passage() -> None:
    lane = Lane()
    after = lane.drive("TEST123", 0.0)
    lane.drive("TEST123", after + 0.5 * SETTINGS.rearm_s)
    lane.finish()
    assert lane.texts == ["TEST123"]


def test_fleet_plates_one_character_apart_are_two_reads() -> None:
    lane = Lane()
    after = lane.drive("TEST123", 0.0)
    lane.drive("TEST124", after + 5.0)
    lane.finish()
    assert lane.texts == ["TEST123", "TEST124"]


def test_two_cars_at_once_are_two_reads() -> None:
    lane = Lane()
    for number in range(10):
        at = number / 15
        lane.add(
            at,
            look(at, "TEST123", 0.9, x=100 + 60 * number, y=300),
            look(at, "DEMO456", 0.9, x=1000 - 60 * number, y=420),
        )
    lane.finish()
    assert sorted(lane.texts) == ["DEMO456", "TEST123"]


def test_nearly_alike_plates_in_one_frame_are_two_reads() -> None:
    lane = Lane()
    for number in range(10):
        at = number / 15
        lane.add(at, look(at, "TEST123", 0.95, x=100), look(at, "TEST128", 0.95, x=900))
    lane.finish()
    assert sorted(lane.texts) == ["TEST123", "TEST128"]


def test_a_car_right_behind_another_is_its_own_read() -> None:
    lane = Lane()
    after = lane.drive("TEST123", 0.0)
    lane.drive("DEMO456", after + 1 / 15)
    lane.finish()
    assert lane.texts == ["TEST123", "DEMO456"]


SURE_ENOUGH = [(0.95, 0.55), (0.75, 0.75), (0.55, 0.95)]


@pytest.mark.parametrize(("first", "second"), SURE_ENOUGH)
@pytest.mark.parametrize("looked_at", [0, 3], ids=["asleep", "seen empty"])
def test_a_car_that_stops_where_the_one_before_stood_is_its_own_read(
    first: float, second: float, looked_at: int
) -> None:
    """At a gate every car stops at the same place, and the trigger sleeps between two of them."""
    lane = Lane()
    for tenth in range(100):
        lane.add(tenth / 10, look(tenth / 10, "TEST123", first))
    lane.tick(12.0)
    for second_empty in range(looked_at):
        lane.add(15.0 + second_empty)
    for tenth in range(50):
        at = 30 + tenth / 10
        lane.add(at, look(at, "DEMO456", second, x=108))
    lane.finish()
    assert lane.texts == ["TEST123", "DEMO456"]


def test_a_car_that_drove_off_is_not_parked_by_what_is_not_read_of_the_next() -> None:
    lane = Lane()
    for tenth in range(100):
        lane.add(tenth / 10, look(tenth / 10, "TEST123", 0.95))
    for second in range(15, 18):
        lane.add(float(second))
    for tenth in range(150):
        at = 18 + tenth / 10
        lane.add(at, look(at, "DEMO456" if tenth % 3 == 0 else "", 0.9 if tenth % 3 == 0 else 0.0))
    lane.finish()
    assert lane.texts == ["TEST123", "DEMO456"]
    assert not any(event.parked for event in lane.events), "each stood for less than parked_s"


@pytest.mark.parametrize(("first", "second"), SURE_ENOUGH)
def test_a_slow_camera_that_sees_each_car_once_takes_two_for_two(first: float, second: float) -> None:
    """Five frames a second across a narrow field: one look at each car, all at the same place."""
    lane = Lane()
    cars = {1: ("TEST123", first), 5: ("DEMO456", second)}
    for number in range(20):
        at = number / 5
        lane.add(at, *(look(at, *cars[number], x=600) for _ in range(number in cars)))
    lane.finish()
    assert lane.texts == ["TEST123", "DEMO456"]


def test_a_car_lost_from_sight_for_a_moment_is_one_read() -> None:
    """Far looks read rubbish, then a pole hides the car, then it is read well."""
    lane = Lane()
    lane.add(0.0, look(0.0, "TEST128", 0.4, x=100, width=40))
    lane.add(1.0, look(1.0, "TEST123", 0.9, x=900, width=90))
    lane.add(1.1, look(1.1, "TEST123", 0.9, x=980, width=95))
    lane.finish()
    assert lane.texts == ["TEST123"]


def test_one_weak_look_makes_no_read() -> None:
    lane = Lane()
    lane.add(0.0, look(0.0, "TEST123", 0.45))
    lane.finish()
    assert lane.events == []
    assert lane.passages.rejected == 1


def test_agreeing_weak_looks_make_one() -> None:
    lane = Lane()
    for number in range(4):
        at = number / 15
        lane.add(at, look(at, "TEST123", 0.42, x=100 + 60 * number))
    lane.finish()
    assert lane.texts == ["TEST123"]


def test_a_sign_misread_the_same_way_for_hours_makes_no_read() -> None:
    lane = Lane()
    for second in range(3600):
        lane.add(float(second), look(float(second), "STOPAHEAD", 0.45))
    lane.finish()
    assert lane.events == []


def test_a_badge_makes_no_read_and_a_short_plate_does() -> None:
    lane = Lane()
    lane.add(0.0, look(0.0, "GT", 0.8))
    lane.add(0.1, look(0.1, "GT", 0.95, x=160))
    lane.finish()
    assert lane.events == []
    for number in range(5):
        lane.add(100 + number / 15, look(100 + number / 15, "PI", 0.97, x=100 + 60 * number))
    lane.finish()
    assert lane.texts == ["PI"]


def test_looks_that_contradict_each_other_make_no_read() -> None:
    lane = Lane()
    for number, text in enumerate(("MOVERS", "MVRS24", "NOVER2", "MQVE")):
        lane.add(number / 15, look(number / 15, text, 0.5 + number / 100, x=100 + 10 * number))
    lane.finish()
    assert lane.events == []


def test_pictures_of_a_folder_are_passages_of_their_own() -> None:
    lane = Lane()
    for number in range(3):
        lane.add(number / 100, look(number / 100, "TEST123", 0.9), source=f"{number}.jpg")
    lane.finish()
    assert lane.texts == ["TEST123"] * 3


def test_a_clip_is_followed_through_its_one_file() -> None:
    lane = Lane()
    for number in range(6):
        at = number / 15
        lane.add(at, look(at, "TEST123", 0.9, x=100 + 40 * number), source="clip.mp4")
    lane.finish()
    assert lane.texts == ["TEST123"]


def test_empty_frames_give_nothing_and_ask_for_nothing() -> None:
    lane = Lane()
    for number in range(100):
        assert lane.add(number / 15) == []
    assert lane.passages.due() is None
    assert lane.finish() == []


def test_a_picture_full_of_plates_is_read_to_the_last() -> None:
    """A car park seen by a large camera: no plate of one picture pushes out another of it."""
    lane = Lane()
    texts = [
        f"{chr(65 + number % 26)}{chr(65 + number // 26)}X{number * 37 % 1000:03d}" for number in range(MOST)
    ]
    lane.add(0.0, *(look(0.0, text, 0.9, x=100 * (n % 12), y=60 * (n // 12)) for n, text in enumerate(texts)))
    lane.finish()
    assert sorted(lane.texts) == sorted(texts)


def test_a_parked_car_does_not_remember_every_car_that_passes_it() -> None:
    """A trailer stands before a unit for months, and a unit runs for as long."""
    lane = Lane()
    for number in range(300):
        at = 2.0 * number
        lane.add(at, look(at, "TEST123", 0.95, x=900), look(at, f"AB{number:03d}{number * 7 % 90 + 10}", 0.9))
    tracks = lane.passages._tracks
    assert max(len(track.with_others) for track in tracks) < len(tracks) < 50


def test_pixels_are_let_go_once_a_vehicle_has_passed() -> None:
    passages = Passages(SETTINGS, MIN_CONFIDENCE)
    for number in range(20):
        at = number / 15
        passages.add(frame(at), [look(at, f"TEST12{number % 3}", 0.6, x=100 + 20 * number)])
    passages.tick(10.0)
    assert all(not track._kept and not (track.won and track.won.has_pixels) for track in passages._tracks)


def test_a_car_park_of_unreadable_plates_does_not_fill_the_memory() -> None:
    """Forty plates, each with its best looks in other frames, held 226 MB at 1280 x 720."""
    passages, random = Passages(SETTINGS, MIN_CONFIDENCE), Random(1)
    for number in range(30):
        at = number / 5
        texts = [f"T{place:02d}{random.choice('ABCD')}23" for place in range(40)]
        seen = [
            look(at, text, random.uniform(0.1, 0.45), x=150 * (place % 8), y=100 * (place // 8))
            for place, text in enumerate(texts)
        ]
        if number == 29:
            assert all(not track._kept for track in passages._tracks)
            seen[0] = look(at, "T00A23", 0.9, x=0, y=0)
        passages.add(frame(at), seen)
    (event,) = passages.finish()
    assert event.vote.text == "T00A23"
    assert event.winner.has_pixels, "one that becomes readable has its picture all the same"


@given(
    st.lists(
        st.tuples(PLATE, st.integers(3, 10), st.floats(0.55, 0.99)),
        min_size=1,
        max_size=8,
        unique_by=lambda car: car[0],
    )
)
@settings(max_examples=60)
def test_cars_one_after_another_are_one_read_each(cars: list[tuple[str, int, float]]) -> None:
    lane = Lane()
    at = 0.0
    for text, looks, confidence in cars:
        at = lane.drive(text, at, looks, confidence) + 2.0
    lane.finish()
    read_ids = {event.read_id for event in lane.events}
    assert len(read_ids) <= len(cars)
    sure = {text for text, _, confidence in cars if confidence >= 0.9}
    assert sure <= set(lane.texts)


@st.composite
def noisy_passage(draw: st.DrawFn) -> list[tuple[str, float]]:
    """Looks at one plate: some characters misread, some lost."""
    text = draw(PLATE)
    looks = []
    for _ in range(draw(st.integers(2, 12))):
        place = draw(st.integers(0, len(text) - 1))
        kind = draw(st.sampled_from(["right", "right", "right", "wrong", "short"]))
        confidence = draw(st.floats(0.5, 0.95) if kind == "right" else st.floats(0.05, 0.6))
        if kind == "wrong":
            looks.append((text[:place] + "8" + text[place + 1 :], confidence))
        else:
            looks.append((text[:place] + text[place + 1 :] if kind == "short" else text, confidence))
    return looks


@given(noisy_passage(), st.floats(100, 1500), st.sampled_from([1 / 30, 1 / 15, 1 / 8]))
def test_no_passage_gives_two_reads(looks: list[tuple[str, float]], speed: float, pause: float) -> None:
    lane = Lane()
    for number, (text, confidence) in enumerate(looks):
        at = number * pause
        lane.add(at, look(at, text, confidence, x=speed * at, width=60 + 3 * number))
    lane.finish()
    assert len({event.read_id for event in lane.events}) <= 1


@given(noisy_passage())
def test_every_revision_follows_the_one_before(looks: list[tuple[str, float]]) -> None:
    lane = Lane()
    for number, (text, confidence) in enumerate(looks * 3):
        at = number / 10
        lane.add(at, look(at, text, confidence, x=40 * number))
    lane.finish()
    assert [event.revision for event in lane.events] == list(range(1, len(lane.events) + 1))
    for event in lane.events:
        assert len(event.vote.char_confidence) == len(event.vote.text) > 0
        assert 0 <= event.vote.confidence <= 1
        assert len(event.vote.candidates) <= 10
        assert event.vote.candidates[0].text == event.vote.text


@pytest.mark.parametrize("speed", [200.0, 900.0, 2400.0])
def test_fast_and_slow_cars_are_followed(speed: float) -> None:
    lane = Lane()
    for number in range(5):
        at = number / 15
        text = ("TEST128", "TE5T123", "TEST123", "TEST123", "TEST123")[number]
        lane.add(at, look(at, text, 0.45 + 0.1 * number, x=50 + speed * at, width=50 + 10 * number))
    lane.finish()
    assert lane.texts == ["TEST123"]
