"""One index on a picture's file, without the second one that PostgreSQL was given for LIKE, which nothing asks."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import migrations, models

NAME = "records_picture_file"


def one_index(apps: Any, schema_editor: Any) -> None:
    """By hand: Django would write the whole table anew on SQLite."""
    connection, table = schema_editor.connection, "records_picture"
    with connection.cursor() as cursor:
        held = connection.introspection.get_constraints(cursor, table)
    names = [name for name, one in held.items() if one["index"] and one["columns"] == ["file"]]
    quoted = schema_editor.quote_name
    for name in names:
        schema_editor.execute(f"DROP INDEX {quoted(name)}")
    schema_editor.execute(f"CREATE INDEX {quoted(NAME)} ON {quoted(table)} ({quoted('file')})")


class Migration(migrations.Migration):
    dependencies: ClassVar = [("records", "0005_seals")]
    operations: ClassVar = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(one_index, migrations.RunPython.noop)],
            state_operations=[
                migrations.AlterField("picture", "file", models.FileField(blank=True, max_length=200)),
                migrations.AddIndex("picture", models.Index(fields=["file"], name=NAME)),
            ],
        )
    ]
