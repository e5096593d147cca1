"""Parts that are not fitted, so that nobody asks whether there is one."""

from __future__ import annotations

from hw.protocols import Fix


class NoGps:
    """No receiver is fitted."""

    def fix(self) -> Fix | None:
        return None

    def received(self) -> tuple[Fix, float] | None:
        """As `hw.pi.gps.SerialGps.received`: there never is one."""
        return None

    def close(self) -> None:
        """Nothing to release."""
