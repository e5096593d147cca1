"""From fragments of texts to trigrams of reads, which lie in the order of time (see `models.Trigram`)."""

import itertools
from collections.abc import Iterator
from typing import Any

import django.db.models.deletion
from django.db import migrations, models

from hq.records.keys import lookalike_key, trigrams

_CHUNK = 2000


class CreateClustered(migrations.CreateModel):
    """A table whose rows lie in the order of its primary key; PostgreSQL has the key's index for it."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = to_state.apps.get_model(app_label, self.name)
        if schema_editor.connection.vendor != "sqlite" or not self.allow_migrate_model(
            schema_editor.connection.alias, model
        ):
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        statement, parameters = schema_editor.table_sql(model)
        schema_editor.execute(f"{statement} WITHOUT ROWID", parameters or None)


def fill(apps: Any, schema_editor: Any) -> None:
    """Index what is here: every read's text and every correction's."""
    read = apps.get_model("records", "Read").objects
    reads = read.values_list("id", "at", "received_at", "key").iterator(_CHUNK)
    corrections = apps.get_model("hits", "Correction").objects.order_by()
    texts = corrections.values_list("read_id", "read__at", "read__received_at", "key").iterator(_CHUNK)
    model = apps.get_model("records", "Trigram")
    for chunk in _chunks(itertools.chain(reads, texts)):
        model.objects.bulk_create(
            (
                model(gram=gram, at=at, read_id=pk, key=key, lookalike=alike, received_at=received_at)
                for pk, at, received_at, key in chunk
                if at is not None
                for alike in [lookalike_key(key)]
                for gram in trigrams(alike)
            ),
            ignore_conflicts=True,
        )


def _chunks(rows: Iterator[Any]) -> Iterator[list[Any]]:
    while chunk := list(itertools.islice(rows, _CHUNK)):
        yield chunk


class Migration(migrations.Migration):
    dependencies = [("records", "0002_admission"), ("hits", "0001_initial")]

    operations = [
        CreateClustered(
            name="Trigram",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "gram",
                        "at",
                        "read",
                        "key",
                        "lookalike",
                        "received_at",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("gram", models.CharField(max_length=3)),
                ("at", models.DateTimeField()),
                ("key", models.CharField(max_length=32)),
                ("lookalike", models.CharField(max_length=32)),
                ("received_at", models.DateTimeField()),
                (
                    "read",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="records.read",
                    ),
                ),
            ],
        ),
        migrations.RunPython(fill, migrations.RunPython.noop, elidable=True),
        migrations.DeleteModel(name="Fragment"),
    ]
