"""Django's settings, from the environment; `hq.site.doctor` says what a production start still lacks.

Every variable, with its default, stands in docs/hq.md under Settings; `hq.records.broker` reads those of the
broker.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from zoneinfo import ZoneInfo

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from hq import APPS

HERE = Path(__file__).parent
DATA = Path(os.environ.get("PLATEWARDEN_HQ_DATA", "hq-data"))
DEMO = os.environ.get("PLATEWARDEN_HQ_DEMO") == "1"
DEBUG = False

SECRET_KEY_MISSING = not os.environ.get("PLATEWARDEN_HQ_SECRET_KEY")
# A key of the moment lets commands run; doctor refuses to serve a production site with it. A demo's secrets
# are known anyway, and its commands must open what its other commands sealed.
SECRET_KEY = os.environ.get("PLATEWARDEN_HQ_SECRET_KEY") or (
    "a demo keeps no secret " * 3 if DEMO else secrets.token_urlsafe(50)
)
# Keys of before, while what they sealed is sealed anew (docs/hq-people.md).
SECRET_KEY_FALLBACKS = [k for k in os.environ.get("PLATEWARDEN_HQ_SECRET_KEY_OLD", "").split(",") if k]
ALLOWED_HOSTS = [h for h in os.environ.get("PLATEWARDEN_HQ_HOSTS", "localhost,127.0.0.1").split(",") if h]

# Who vouches for disks whose encryption HQ cannot see, since when, how; each start logs it.
DISK_STATEMENT = os.environ.get("PLATEWARDEN_HQ_DISK_STATEMENT", "")

# Where the running version's source is to be had (AGPL, section 13); empty: this server hands it out itself.
SOURCE = os.environ.get("PLATEWARDEN_HQ_SOURCE", "")

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

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "hq.site.headers.Headers",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "hq.people.sessions.SessionRules",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.messages.context_processors.messages",
                "hq.site.context.frame",
            ],
            "builtins": ["hq.site.templatetags.hq"],
        },
    }
]

# `serve` uses connections again (hq.site.threads): a board that is quiet for minutes shall find its own. One
# that PostgreSQL has closed meanwhile is noticed at the start of a request.
try:
    DATABASES = {
        "default": dj_database_url.config(
            default=f"sqlite:///{DATA / 'hq.sqlite3'}", conn_max_age=600, conn_health_checks=True
        )
    }
    _KIND = DATABASES["default"].get("ENGINE", "").rpartition(".")[2]
except ValueError:
    _KIND = ""
if _KIND not in ("sqlite3", "postgresql"):
    # The value is not repeated: it may hold a password.
    raise ImproperlyConfigured("DATABASE_URL: wants sqlite:///FILE or postgres://USER@HOST/DATABASE")
if _KIND == "sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        # IMMEDIATE: a transaction that will write waits for its turn at the start, not half way.
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": (
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
            "PRAGMA recursive_triggers=ON;"
            # What is deleted or moved within the file is overwritten, whatever this SQLite was built with.
            "PRAGMA secure_delete=ON;"
        ),
    }

AUTH_USER_MODEL = "people.Person"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
# CJIS IA-5(1): 8 characters at least, not the name, not on the lists; the agency's own list is a file.
AUTH_PASSWORD_VALIDATORS: list[dict[str, object]] = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 8}},
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("username", "full_name", "badge")},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "hq.people.passwords.BannedByAgency", "OPTIONS": {"path": DATA / "banned-passwords.txt"}},
]
LOGIN_URL = "people:login"
OTP_TOTP_ISSUER = "Platewarden HQ"
OTP_TOTP_THROTTLE_FACTOR = 0  # a wrong code counts towards the same lockout as a wrong password

# CJIS AC-7: locked after five failures until an administrator releases, whichever host they came from.
AXES_FAILURE_LIMIT = 5
AXES_LOCKOUT_PARAMETERS = ["username"]
AXES_COOLOFF_TIME = None
# The rule locks the account, wherever the attempts come from; by address it would let a botnet go on.
SILENCED_SYSTEM_CHECKS = ["axes.W006"]
AXES_RESET_ON_SUCCESS = True
AXES_DISABLE_ACCESS_LOG = True  # the access log proper has every attempt
AXES_LOCKOUT_CALLABLE = "hq.people.login.locked_out"
AXES_SENSITIVE_PARAMETERS: list[str] = []

SESSION_COOKIE_NAME = "hq_session"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
SESSION_COOKIE_AGE = 12 * 3600
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Strict"
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
# A demo runs on plain HTTP on this machine; everything else is behind TLS.
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not DEMO
SECURE_HSTS_SECONDS = 0 if DEMO else 365 * 24 * 3600
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = not DEMO
# The agency's mail server (docs/hq-mail.md); without PLATEWARDEN_HQ_SMTP_HOST nothing is mailed.
EMAIL_HOST = os.environ.get("PLATEWARDEN_HQ_SMTP_HOST", "")
_SMTP_TLS = os.environ.get("PLATEWARDEN_HQ_SMTP_TLS", "starttls")
# A word that is none of the three must not send in clear.
EMAIL_USE_TLS, EMAIL_USE_SSL = _SMTP_TLS not in ("tls", "none"), _SMTP_TLS == "tls"
_SMTP_PORT = os.environ.get("PLATEWARDEN_HQ_SMTP_PORT", {"tls": "465", "none": "25"}.get(_SMTP_TLS, "587"))
EMAIL_PORT = int(_SMTP_PORT) if _SMTP_PORT.isdecimal() else 0
if not 1 <= EMAIL_PORT <= 65535:
    raise ImproperlyConfigured(f"PLATEWARDEN_HQ_SMTP_PORT: {_SMTP_PORT!r} is no port: 1 to 65535")
EMAIL_HOST_USER = os.environ.get("PLATEWARDEN_HQ_SMTP_USERNAME", "")
SMTP_PASSWORD_FILE = os.environ.get("PLATEWARDEN_HQ_SMTP_PASSWORD_FILE", "")
DEFAULT_FROM_EMAIL = os.environ.get("PLATEWARDEN_HQ_SMTP_FROM", "")
EMAIL_TIMEOUT = 20
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "hq.site.logs.OneLine", "format": "%(message)s"}},
    "handlers": {"line": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["line"], "level": "WARNING"},
    "filters": {"bare": {"()": "hq.site.logs.Bare"}},
    "loggers": {
        # Warns of each address that is none, and what was typed there may be a plate.
        "django.request": {"level": "ERROR"},
        "django.security.DisallowedHost": {"filters": ["bare"]},
    },
}
CSRF_FAILURE_VIEW = "hq.site.errors.csrf_failure"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ROOT_URLCONF = "hq.urls"
ASGI_APPLICATION = "hq.asgi.application"
USE_TZ = True
TIME_ZONE = os.environ.get("PLATEWARDEN_HQ_TIME_ZONE", "America/Los_Angeles")
try:
    ZoneInfo(TIME_ZONE)
except (KeyError, ValueError, OSError):
    raise ImproperlyConfigured(f"PLATEWARDEN_HQ_TIME_ZONE: {TIME_ZONE!r} is no time zone") from None
LANGUAGE_CODE = "en-us"
STATIC_URL = "static/"
# Served from the apps' own folders: there is no build step.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
MEDIA_ROOT = DATA / "pictures"
