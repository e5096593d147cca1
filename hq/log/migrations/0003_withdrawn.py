from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("log", "0002_removal")]

    operations = [
        migrations.AlterField(
            model_name="removal",
            name="state",
            field=models.CharField(
                choices=[
                    ("proposed", "proposed"),
                    ("cosigned", "co-signed"),
                    ("done", "done"),
                    ("refused", "refused"),
                    ("withdrawn", "withdrawn"),
                ],
                default="proposed",
                max_length=10,
            ),
        ),
    ]
