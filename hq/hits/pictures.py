"""Hands out a picture of a hit's read: only to a page's request, logged like any, and only if it is whole.

Owns what is answered; there is no other address under which a picture lies. The files are
`hq.records.pictures`'.
"""

from __future__ import annotations

import hashlib
import logging

from django.http import Http404, HttpResponse

from hq.records.models import Picture

logger = logging.getLogger(__name__)


def answer(picture: Picture | None) -> HttpResponse:
    """The picture's bytes. Raises Http404 where it has not come, cannot be read or is not what came."""
    if picture is None or picture.missing or not picture.file:
        raise Http404("the picture has not come")
    try:
        with picture.file.open("rb") as file:
            data = file.read()
    except OSError as error:
        logger.error("picture %s cannot be read: %s", picture.pk, type(error).__name__)
        raise Http404("the picture cannot be read") from error
    if hashlib.sha256(data).hexdigest() != picture.sha256:
        logger.error("picture %s is not what came: its hash differs", picture.pk)
        raise Http404("the picture is not what came")
    return HttpResponse(data, content_type="image/jpeg", headers={"Content-Disposition": "inline"})
