from django.apps import AppConfig


class RecordsConfig(AppConfig):
    name = "hq.records"
    label = "records"

    def demo(self) -> None:
        """Enrol the demonstration's unit."""
        from hq.records.models import Unit

        Unit.objects.get_or_create(
            unit_id="demo", defaults={"name": "Rendered street (demo)", "state": Unit.State.ENROLLED}
        )
