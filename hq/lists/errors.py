"""What the services of the lists refuse: one line that names the clause and who can help."""

from __future__ import annotations


class ListRefused(Exception):
    """A rule of the policy or of the agency stands against it.

    Attributes:
        clause: of the policy, statute or control.
        why: one sentence, without a plate.
    """

    def __init__(self, clause: str, why: str) -> None:
        super().__init__(f"{clause}: {why}")
        self.clause = clause
        self.why = why
