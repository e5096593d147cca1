"""Seals secrets that HQ must read again, by AES-256-GCM under a key derived from PLATEWARDEN_HQ_SECRET_KEY.

Owns the key's derivation and the sealed form; what is sealed is the authenticators' secrets
(`hq.people.models.Authenticator`). A copy of the database alone, or of a backup, opens none of them.
Rotation: the old key goes into PLATEWARDEN_HQ_SECRET_KEY_OLD until `platewarden-hq upkeep` has sealed
everything anew.
"""

from __future__ import annotations

import base64
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

_MARK: Final = "s1:"
_NONCE: Final = 12
_INFO: Final = b"platewarden hq: secrets of authenticators, 1"


class SealBroken(Exception):
    """What was sealed cannot be opened: another key, another owner, or changed."""


def is_sealed(text: str) -> bool:
    """Whether it has the sealed form."""
    return text.startswith(_MARK)


def seal(secret: bytes, owner: str) -> str:
    """The sealed form, 67 characters for 20 bytes; it opens for the same owner only."""
    nonce = os.urandom(_NONCE)
    locked = AESGCM(_key(settings.SECRET_KEY)).encrypt(nonce, secret, owner.encode())
    return _MARK + base64.urlsafe_b64encode(nonce + locked).decode()


def unseal(text: str, owner: str) -> bytes:
    """What was sealed; raises SealBroken."""
    return _open(text, owner, settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)


def is_current(text: str, owner: str) -> bool:
    """Whether it is sealed under the present key, so that an old one can go."""
    try:
        _open(text, owner, settings.SECRET_KEY)
    except SealBroken:
        return False
    return True


def _open(text: str, owner: str, *secret_keys: str) -> bytes:
    if not is_sealed(text):
        raise SealBroken("not sealed")
    try:
        packed = base64.urlsafe_b64decode(text.removeprefix(_MARK))
    except ValueError as error:
        raise SealBroken("not sealed") from error
    for secret_key in secret_keys:
        try:
            return AESGCM(_key(secret_key)).decrypt(packed[:_NONCE], packed[_NONCE:], owner.encode())
        except (InvalidTag, ValueError):
            continue
    raise SealBroken("sealed under another PLATEWARDEN_HQ_SECRET_KEY, for another owner, or changed")


def _key(secret_key: str) -> bytes:
    return HKDF(SHA256(), 32, None, _INFO).derive(secret_key.encode())
