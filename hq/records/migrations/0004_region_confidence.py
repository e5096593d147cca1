from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("records", "0003_trigrams")]

    operations = [
        migrations.AddField(
            model_name="read",
            name="region_confidence",
            field=models.FloatField(db_default=0.0, default=0.0, help_text="0 where the region is not known"),
        )
    ]
