"""The ASGI application of HQ, and the same as `serve` runs it, with threads that are used again."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hq.settings")
application = get_asgi_application()

from hq.site.threads import Threads  # noqa: E402  the settings come first

served = Threads(application)
