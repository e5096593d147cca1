"""Authenticators: a proxy of django-otp's model, and every secret that lies in clear is sealed."""

from binascii import hexlify, unhexlify

from django.apps.registry import Apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from hq.people import sealing
from hq.people.models import owner_of


def seal(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    devices = apps.get_model("otp_totp", "TOTPDevice").objects.using(schema_editor.connection.alias)
    clear = [device for device in devices.all() if not sealing.is_sealed(device.key)]
    if clear and settings.SECRET_KEY_MISSING and not settings.DEMO:
        raise ImproperlyConfigured(
            "PLATEWARDEN_HQ_SECRET_KEY is not set: the authenticators' secrets would be sealed under a key "
            "that is lost when migrate ends"
        )
    for device in clear:
        device.key = sealing.seal(unhexlify(device.key), owner_of(device.user_id))
        device.save(update_fields=["key"])


def unseal(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    devices = apps.get_model("otp_totp", "TOTPDevice").objects.using(schema_editor.connection.alias)
    for device in devices.all():
        device.key = hexlify(sealing.unseal(device.key, owner_of(device.user_id))).decode()
        device.save(update_fields=["key"])


class Migration(migrations.Migration):
    dependencies = [("people", "0001_initial"), ("otp_totp", "0003_add_timestamps")]

    operations = [
        migrations.CreateModel(
            name="Authenticator",
            fields=[],
            options={"proxy": True, "indexes": [], "constraints": []},
            bases=("otp_totp.totpdevice",),
        ),
        migrations.RunPython(seal, unseal),
    ]
