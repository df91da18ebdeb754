"""What people read for the kinds of secrets and for what becomes of them; the engine knows only their names."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from logs.engine.redaction import Strategy

KINDS: dict[str, Promise] = {
    "password": _("Passwords"),
    "token": _("Tokens and secrets"),
    "jwt": _("JSON web tokens"),
    "access-key": _("Access keys of clouds (AK/SK)"),
    "api-key": _("API keys"),
    "private-key": _("Private keys"),
    "session": _("Cookies and session ids"),
    "email": _("E-mail addresses"),
    "ip": _("IP addresses"),
    "id-card": _("Chinese resident ID numbers"),
    "phone": _("Chinese mobile numbers"),
    "bank-card": _("Bank card numbers"),
    "plate": _("Chinese licence plates"),
}

STRATEGIES: dict[Strategy, Promise] = {
    Strategy.MASK: _("Replace by the name of its kind"),
    Strategy.HASH: _("Replace by a keyed hash: equal values stay equal"),
    Strategy.DROP: _("Remove"),
}
