"""The ASGI application of HQ."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hq.settings")
application = get_asgi_application()
