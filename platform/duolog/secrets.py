"""Secrets that must be read again (keys of bots, passwords of mail servers), encrypted in the database.

The key is derived (HKDF, RFC 5869) from Django's SECRET_KEY, so a dump of the database alone tells nothing. Where that
key is replaced, its predecessors in SECRET_KEY_FALLBACKS open what they closed, until `renewed` has closed it anew.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from functools import cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.utils.translation import gettext


class SecretLost(Exception):
    """No key that we have opens it; the message says what to do."""


def encrypt(text: str) -> bytes:
    """Return a text as bytes that only our keys can read, and nobody can change unnoticed."""
    return _fernet(settings.SECRET_KEY).encrypt(text.encode())


def decrypt(token: bytes | memoryview) -> str:
    """Return what `encrypt` was given; raise SecretLost if none of our keys opens it."""
    try:
        return _all().decrypt(bytes(token)).decode()
    except InvalidToken as error:
        text = gettext("the secrets were encrypted with another DUOLOG_SECRET_KEY; enter them anew")
        raise SecretLost(text) from error


def renewed(token: bytes | memoryview) -> bytes | None:
    """Return it encrypted with the key of today, or None if it is already, or if no key opens it."""
    try:
        _fernet(settings.SECRET_KEY).decrypt(bytes(token))
    except InvalidToken:
        try:
            return _all().rotate(bytes(token))
        except InvalidToken:
            return None
    return None


def _all() -> MultiFernet:
    return MultiFernet([_fernet(key) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)])


@cache
def _fernet(key: str) -> Fernet:
    derived = HKDF(SHA256(), length=32, salt=None, info=b"duolog.secrets").derive(key.encode())
    return Fernet(urlsafe_b64encode(derived))
