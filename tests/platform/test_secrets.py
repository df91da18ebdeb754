"""Secrets in the database: readable with our key alone, also after it was replaced."""

from __future__ import annotations

import pytest

from duolog import secrets
from duolog.secrets import SecretLost


def test_only_our_key_opens_it(settings):
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "one", []
    closed = secrets.encrypt("密码 pass")
    assert secrets.decrypt(closed) == secrets.decrypt(memoryview(closed)) == "密码 pass"
    assert b"pass" not in closed and closed != secrets.encrypt("密码 pass")
    assert secrets.renewed(closed) is None
    settings.SECRET_KEY = "two"
    with pytest.raises(SecretLost, match="enter them anew"):
        secrets.decrypt(closed)
    assert secrets.renewed(closed) is None


def test_a_key_of_earlier_times_opens_it_until_it_is_closed_anew(settings):
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "one", []
    closed = secrets.encrypt("pass")
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "two", ["zero", "one"]
    assert secrets.decrypt(closed) == "pass"
    fresh = secrets.renewed(closed)
    settings.SECRET_KEY_FALLBACKS = []
    assert fresh and secrets.decrypt(fresh) == "pass"


def test_what_was_changed_is_refused():
    closed = bytearray(secrets.encrypt("pass"))
    closed[-5] ^= 1
    with pytest.raises(SecretLost):
        secrets.decrypt(bytes(closed))
