"""What people may do about a hit, in which order, and how it stands (430.3(f)).

Owns the two steps: first the comparison by eye, then the answer of CLETS, and that a hit is closed as acted
on only after them. Who may do it is `hq.people.policy`'s, what is shown of it `hq.hits.wording`'s; the
database holds the same rule (`hq.hits.guard`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, TypeVar
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from hq.hits.models import Acknowledgement, Act, Clets, Correction, Outcome, Visual
from hq.lists import publish
from hq.people.models import Person
from hq.people.policy import Misfilled, Refused
from hq.records.models import Hit, Picture, Read
from hq.site import clock
from plates.errors import TextError
from plates.text import normalise

LIVE: Final = timedelta(hours=24)
"""So long after its receipt a hit is a live one, whatever became of it."""

_NOBODY: Final = "nobody: it is the policy's rule"

_SOON: Final = timedelta(minutes=2)
"""The second press of a button comes within it, another answer of CLETS hardly ever."""

_Act = TypeVar("_Act", bound=Act)


@dataclass
class Review:
    """A hit with its read and everything that was done about it, oldest first.

    `read` is None and `pictures` lacks a kind while they have not come yet. `loaded_at` is when HQ loaded the
    data that the hit's entry came from, None where it did not come from a load.
    """

    hit: Hit
    read: Read | None = None
    pictures: dict[str, Picture] = field(default_factory=dict)
    acknowledged: Acknowledgement | None = None
    visuals: list[Visual] = field(default_factory=list)
    answers: list[Clets] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    corrections: list[Correction] = field(default_factory=list)
    loaded_at: datetime | None = None

    @property
    def visual(self) -> Visual | None:
        """The comparison by eye that counts."""
        return self.visuals[-1] if self.visuals else None

    @property
    def answer(self) -> Clets | None:
        """The answer of CLETS that counts."""
        return self.answers[-1] if self.answers else None

    @property
    def outcome(self) -> Outcome | None:
        """How it ended, None while it is open."""
        return self.outcomes[-1] if self.outcomes else None

    @property
    def corrected(self) -> Correction | None:
        """The correction of its read that counts."""
        return self.corrections[-1] if self.corrections else None

    @property
    def differs(self) -> bool:
        """Whether the last to compare by eye says that it is another plate."""
        return self.visual is not None and self.visual.plate == Visual.Plate.DIFFERS

    @property
    def confirmed(self) -> bool:
        """Whether CLETS confirmed it and nobody has since seen that it is another plate."""
        # An answer is only taken while the plate does not differ, so one that differs was seen after it.
        return self.answer is not None and self.answer.result == Clets.Result.CONFIRMED and not self.differs

    @property
    def open(self) -> bool:
        """Whether it still waits for somebody."""
        return self.outcome is None and not self.hit.withdrawn

    @property
    def unverified(self) -> bool:
        """Whether it is open and nobody has entered what CLETS answered."""
        return self.open and self.answer is None

    @property
    def live(self) -> bool:
        """Whether handling it is a purpose of its own (`patrol_hit`): while it is open, and for a day."""
        return self.open or clock.now() - self.hit.received_at < LIVE


def of(hits: Iterable[Hit]) -> list[Review]:
    """The hits with what was done about them, in their order; a few queries however many they are."""
    reviews = {hit.id: Review(hit) for hit in hits}
    reads = {review.hit.read_id for review in reviews.values()}
    loads = publish.origins((review.hit.list_version, review.hit.source) for review in reviews.values())
    pictures: dict[UUID, dict[str, Picture]] = {}
    came = Read.objects.select_related("unit").in_bulk(list(reads))
    for picture in Picture.objects.filter(read__in=reads, current=True, missing=False).order_by("pk"):
        pictures.setdefault(picture.read_id, {})[picture.kind] = picture
    for seen in Acknowledgement.objects.filter(hit__in=reviews).select_related("by"):
        reviews[seen.hit_id].acknowledged = seen
    for model, name in ((Visual, "visuals"), (Clets, "answers"), (Outcome, "outcomes")):
        for act in model._default_manager.filter(hit__in=reviews).select_related("by").order_by("pk"):
            getattr(reviews[act.hit_id], name).append(act)
    by_read: dict[UUID, list[Correction]] = {}
    for row in Correction.objects.filter(read__in=reads).select_related("by").order_by("pk"):
        by_read.setdefault(row.read_id, []).append(row)
    for review in reviews.values():
        read = review.hit.read_id
        review.read, review.pictures = came.get(read), pictures.get(read, {})
        review.corrections = by_read.get(read, [])
        load = loads.get((review.hit.list_version, review.hit.source))
        review.loaded_at = load.prepared_at if load is not None else None
    return list(reviews.values())


def is_live(text: str) -> bool:
    """Whether it is the id of a hit that is open or came within a day: what `Review.live` says of one."""
    try:
        hit = UUID(text)
    except ValueError:
        return False
    open_ones = Q(withdrawn=False) & ~Exists(Outcome.objects.filter(hit=OuterRef("pk")))
    return Hit.objects.filter(open_ones | Q(received_at__gt=clock.now() - LIVE), pk=hit).exists()


def acknowledge(hit: Hit, by: Person) -> Acknowledgement:
    """Say that the alarm was seen; the first who does counts."""
    row, _ = Acknowledgement.objects.get_or_create(
        hit=hit, defaults={"read_id": hit.read_id, "by": by, "at": clock.now()}
    )
    return row


@transaction.atomic
def look(
    review: Review, by: Person, *, plate: str, read_as: str, state: str, vehicle: str, seen: str, note: str
) -> Visual:
    """Step 1: compare by eye; sent twice, it is there once.

    Raises Refused if it says another plate without saying which.
    """
    review = _held(review)
    read_as = _plate(read_as)
    if plate == Visual.Plate.DIFFERS and not read_as:
        raise Misfilled("read_as", "430.3(f)", "say which plate you read in the picture", _NOBODY)
    if plate == Visual.Plate.DIFFERS and read_as == review.hit.entry_plate:
        why = "what you read is the listed plate, so it does not differ"
        raise Misfilled("read_as", "430.3(f)", why, _NOBODY)
    said = {
        "revision": review.read.revision if review.read else review.hit.read_revision,
        "plate": plate,
        "read_as": read_as,
        "state": state,
        "vehicle": vehicle,
        "seen": seen,
        "note": note,
    }
    return _sent_before(review, by, Visual, said) or _enter(review, by, Visual, said)


@transaction.atomic
def answer(
    review: Review,
    by: Person,
    *,
    result: str,
    operator: str,
    answered_at: datetime | None = None,
    reason: str = "",
) -> Clets:
    """Step 2: enter what CLETS answered, without a time just now; sent twice, it is there once.

    Raises Refused without step 1, or without a reason it takes.
    """
    review = _held(review)
    visual = review.visual
    if visual is None:
        raise Refused("430.3(f)", "step 1 comes first: compare plate and state by eye", _NOBODY)
    if review.differs:
        raise Refused(
            "430.3(f)",
            "the plate in the picture is another one; there is nothing to ask CLETS about this entry",
            "nobody: compare again, or close it as not the listed plate",
        )
    if result == Clets.Result.NOT_PRACTICABLE and not reason.strip():
        raise Misfilled("reason", "430.3(f)", "say why a check through CLETS was not practicable", _NOBODY)
    if answered_at is not None and answered_at > clock.now():
        raise Misfilled("answered_at", "430.3(f)", "the answer cannot come from the future", _NOBODY)
    said = {
        "visual": visual,
        "result": result,
        "reason": reason.strip() if result == Clets.Result.NOT_PRACTICABLE else "",
        "operator": operator.strip() or by.full_name,
    }
    twin = _sent_before(review, by, Clets, said)
    if twin is not None and _same_answer(twin, answered_at):
        return twin
    now = clock.now()
    return _enter(review, by, Clets, {**said, "at": now, "answered_at": answered_at or now})


@transaction.atomic
def close(review: Review, by: Person, *, kind: str, note: str = "") -> Outcome:
    """Say how it ended. Raises Refused for `acted_on` without step 2, or for one that step 2 speaks against.

    It may be said again, as more becomes known; the last counts. Sent twice, it is there once.
    """
    review = _held(review)
    given = review.answer
    if kind == Outcome.Kind.ACTED_ON:
        if given is None:
            raise Misfilled(
                "kind",
                "430.3(f)",
                "a hit cannot be closed as acted on before CLETS answered: enter the result, or NOT "
                "PRACTICABLE with the reason",
                _NOBODY,
            )
        against = given.result in (Clets.Result.NOT_FOUND, Clets.Result.CANCELLED) or review.differs
        if against and not note.strip():
            why = "the checks speak against acting: say what was done and why"
            raise Misfilled("note", "430.3(f)", why, _NOBODY)
    if kind == Outcome.Kind.WRONG and review.visual is None:
        raise Misfilled("kind", "430.3(f)", "compare plate and state by eye first", _NOBODY)
    said = {
        "kind": kind,
        "clets": given if kind == Outcome.Kind.ACTED_ON else None,
        "note": note.strip(),
    }
    return _sent_before(review, by, Outcome, said) or _enter(review, by, Outcome, said)


def _held(review: Review) -> Review:
    """The hit as it stands now; of two acts at once, the second waits here until the first is in."""
    Hit.objects.select_for_update().filter(pk=review.hit.pk).first()
    (one,) = of([review.hit])
    return one


def _sent_before(review: Review, by: Person, act: type[_Act], said: Mapping[str, object]) -> _Act | None:
    """The newest act about the hit, if it is the person's own and says just this, as after a second press.

    The same words after somebody's other act are said anew.
    """
    acts: list[Act] = [*review.visuals, *review.answers, *review.outcomes]
    last = max(reversed(acts), key=lambda one: one.at, default=None)
    if not isinstance(last, act) or last.by_id != by.pk:
        return None
    return last if all(getattr(last, name) == value for name, value in said.items()) else None


def _same_answer(twin: Clets, answered_at: datetime | None) -> bool:
    """Whether the time of the answer is the same; of two without one, when the second came soon."""
    if answered_at is not None:
        return answered_at == twin.answered_at
    return twin.answered_at == twin.at and clock.now() - twin.at < _SOON


def _enter(review: Review, by: Person, act: type[_Act], said: Mapping[str, object]) -> _Act:
    return act._default_manager.create(
        hit=review.hit, read_id=review.hit.read_id, by=by, **{"at": clock.now(), **said}
    )


def _plate(text: str) -> str:
    """A plate as somebody read it, in the form in which plates are compared; "" for nothing."""
    if not text.strip():
        return ""
    try:
        return normalise(text)
    except TextError as error:
        raise Misfilled("read_as", "430.3(f)", f"the plate as you read it: {error}", _NOBODY) from error
