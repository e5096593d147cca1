"""What the services of the lists refuse."""

from __future__ import annotations

from hq.people.policy import Refused

CORRECT = "nobody: correct what you entered"


class ListRefused(Refused):
    """A rule of the policy or of the agency stands against it; `why` is one sentence, without a plate."""

    def __init__(self, clause: str, why: str, who_can_grant: str = CORRECT) -> None:
        super().__init__(clause, why, who_can_grant)
