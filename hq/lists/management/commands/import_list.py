"""`import_list`: hand a source's daily file to the loader, under its standing approval."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import transaction

from hq.lists import loading, masking, standing
from hq.lists.models import HotListSource
from hq.log import chain
from hq.people.policy import may
from hq.site.commands import RecordsCommand

_CHUNK = 1 << 20


class Command(RecordsCommand):
    help = "Hand a daily hot list file to the loader, for a source with a standing approval."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("list", help="the name of the list")
        parser.add_argument("source", help="the name of its source")
        parser.add_argument("file", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        source = HotListSource.objects.filter(hot_list__name=options["list"], name=options["source"]).first()
        if source is None:
            raise CommandError(f"{options['list']}: has no source {options['source']}")
        approval = standing.current(source)
        if approval is None:
            raise CommandError(
                f"{source}: no standing approval is in force (430.2-d); upload the file on its page",
                returncode=3,
            )
        # Whoever proposed the approval answers for the files that come under it.
        person = approval.proposed_by
        if not may(person, "lists.import") or masking.lacking_for_data(masking.grants_of(person), source):
            raise CommandError(
                f"{source}: {person.username} may no longer import it (430.3(e))", returncode=3
            )
        path: Path = options["file"]
        try:
            with path.open("rb") as file, transaction.atomic():
                upload = loading.keep(source, path.name, iter(lambda: file.read(_CHUNK), b""), by=person)
                upload.state = "waiting"
                upload.save(update_fields=["state"])
                chain.append(
                    kind="lists",
                    person=None,
                    action="lists.import_file",
                    elements={"source": str(source), "file": path.name, "bytes": upload.size},
                    ids=[approval.pk],
                    note=f"command line, under {approval} for {person.username}",
                )
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror}") from error
        self.stdout.write(f"{path.name}: {upload.size} bytes wait for the loader (publish-lists)")
