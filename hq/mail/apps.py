"""The app of mails."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from django.apps import AppConfig
from django.conf import settings

if TYPE_CHECKING:
    from hq.people.models import Person
    from hq.site.doctor import Finding


class MailConfig(AppConfig):
    name = "hq.mail"
    label = "mail"
    menu: ClassVar[list[tuple[str, str, str]]] = [("Mail", "mail:outbox", "mail.view")]

    def doctor(self) -> Iterator[Finding]:
        """A server that is missing or takes nothing, and people whom no alarm reaches."""
        from hq.mail import outbox
        from hq.people.models import OFFICES, Role, holders
        from hq.site import clock
        from hq.site.doctor import Finding

        if not outbox.configured():
            yield Finding(
                False, "CJIS AU-5", "no mail server is named: alarms are on pages only", "docs/hq-mail.md"
            )
            return
        if "@" not in settings.DEFAULT_FROM_EMAIL:
            yield Finding(
                True, "CJIS AU-5", "mails have no sender", "set PLATEWARDEN_HQ_SMTP_FROM to an address"
            )
        if not (settings.EMAIL_USE_TLS or settings.EMAIL_USE_SSL):
            yield Finding(
                False,
                "CJIS SC-8",
                "mails leave unencrypted",
                "set PLATEWARDEN_HQ_SMTP_TLS to starttls or tls",
            )
        held = outbox.undelivered()
        if held:
            yield Finding(False, "430.2.1(b)", f"undelivered mails: {len(held)}; {held[0].error}", "see Mail")
        last = outbox.last_run()
        if last is None or clock.now() - last > timedelta(hours=1):
            yield Finding(
                False,
                "CJIS AU-5",
                "mail has not run in the last hour: nobody would be told in time that the log is down",
                "does the timer run platewarden-hq mail every ten minutes?",
            )
        if late := outbox.unsent(timedelta(hours=1)):
            yield Finding(
                False,
                "CJIS AU-5",
                f"mails that wait for more than an hour: {late}",
                "does the timer run platewarden-hq mail?",
            )
        mute = {p.full_name for role in Role if role in OFFICES for p in holders(role) if not p.email}
        if mute:
            yield Finding(
                False,
                "CJIS AU-5",
                f"no mail reaches {', '.join(sorted(mute))}: no e-mail address",
                "enter it in the account",
            )

    def menu_of(self, person: Person) -> list[tuple[str, str]]:
        """Everybody's own choice."""
        return [("Your mail", "mail:own")]
