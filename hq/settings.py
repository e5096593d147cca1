"""Django's settings, from the environment; `hq.site.doctor` says what a production start still lacks.

Environment: DATABASE_URL (default: SQLite in PLATEWARDEN_HQ_DATA), PLATEWARDEN_HQ_DATA (folder of database,
pictures and keys; default ./hq-data), PLATEWARDEN_HQ_SECRET_KEY, PLATEWARDEN_HQ_HOSTS (comma-separated),
PLATEWARDEN_HQ_DEMO (1 marks the site as a demo).
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import dj_database_url

from hq import APPS

HERE = Path(__file__).parent
DATA = Path(os.environ.get("PLATEWARDEN_HQ_DATA", "hq-data"))
DEMO = os.environ.get("PLATEWARDEN_HQ_DEMO") == "1"
DEBUG = False

_NO_KEY = "PLATEWARDEN_HQ_SECRET_KEY" not in os.environ
# A key of the moment lets commands run; doctor refuses to serve a production site with it.
SECRET_KEY = os.environ.get("PLATEWARDEN_HQ_SECRET_KEY") or secrets.token_urlsafe(50)
ALLOWED_HOSTS = [h for h in os.environ.get("PLATEWARDEN_HQ_HOSTS", "localhost,127.0.0.1").split(",") if h]

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "axes",
    *(f"hq.{name}" for name in APPS),
]

DATABASES = {"default": dj_database_url.config(default=f"sqlite:///{DATA / 'hq.sqlite3'}", conn_max_age=60)}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        # IMMEDIATE: a transaction that will write waits for its turn at the start, not half way.
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": (
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
            "PRAGMA recursive_triggers=ON;"
        ),
    }

AUTH_USER_MODEL = "people.Person"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ROOT_URLCONF = "hq.urls"
ASGI_APPLICATION = "hq.asgi.application"
USE_TZ = True
TIME_ZONE = os.environ.get("PLATEWARDEN_HQ_TIME_ZONE", "America/Los_Angeles")
LANGUAGE_CODE = "en-us"
STATIC_URL = "static/"
STATIC_ROOT = DATA / "static"
MEDIA_ROOT = DATA / "pictures"
