"""Takes small numbers out of a table for the public, so that none can be computed back.

A table is one row of cells that add up to its total. A cell under 10 is hidden. If what is hidden could be
had from the total, further cells are hidden until at least two are and they add up to 10 or more. Which
further ones is decided by a secret, not by their size: whoever knows this rule learns nothing from it either.
Nothing says which of the hidden cells were small.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

SMALL = 10


@dataclass(frozen=True)
class Table:
    """Cells in their order, None for a hidden one; total None if it is hidden too."""

    cells: dict[str, int | None]
    total: int | None


def suppress(counts: Mapping[str, int], order: Callable[[str], object]) -> Table:
    """Hide what is small and what would give it away. `order` ranks the labels by the secret."""
    total = sum(counts.values())
    if total < SMALL:
        return Table(dict.fromkeys(counts), None)
    hidden = {label for label, count in counts.items() if count < SMALL}
    spare = sorted((label for label in counts if label not in hidden), key=order)  # type: ignore[arg-type]
    while hidden and spare and (len(hidden) < 2 or sum(counts[label] for label in hidden) < SMALL):
        hidden.add(spare.pop(0))
    return Table({label: None if label in hidden else count for label, count in counts.items()}, total)
