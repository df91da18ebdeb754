"""Log lines with secrets whose place is known, and decoys: what recall and precision are measured on.

Made by a seed: the same seed, the same lines. No secret in it is anybody's.
"""

from __future__ import annotations

import base64
import random
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from logs.engine.planted_decoys import DECOYS
from logs.engine.planted_templates import PLANTED

LETTERS, DIGITS = string.ascii_letters, string.digits
HEX = "0123456789abcdef"
WORDS = ("hunter", "Dragon", "sunshine", "letmein", "Winter", "admin", "shop", "qwerty", "Summer", "woaini")
USERS = ("bob", "alice", "zhangwei", "li.si", "root", "svc_order", "王五", "u42")
PLATES = ("A12345", "B9K321", "C88F66", "AD12345", "BF06789", "A1234警", "B1234挂", "E5678学", "AC01234", "D12345D")


@dataclass(frozen=True)
class Line:
    """A line, the secret in it (empty in a decoy), the secret's kind, and whether its template is held out."""

    text: str
    secret: str
    kind: str
    held_out: bool
    template: str


class Chance(random.Random):
    """Random values of every sort that the templates name."""

    def some(self, alphabet: str, least: int, most: int | None = None) -> str:
        """Return random letters of an alphabet."""
        return "".join(self.choices(alphabet, k=self.randint(least, most or least)))

    def mixed(self, alphabet: str, least: int, most: int | None = None) -> str:
        """Return letters and at least one digit."""
        made = self.some(alphabet, least, most)
        at = self.randrange(1, len(made) - 1)
        return made[:at] + self.choice(DIGITS) + made[at + 1 :]

    def password(self, extra: str = "") -> str:
        """Return a password as people choose it, or as machines do."""
        word = self.choice(WORDS)
        return self.choice(
            (
                self.mixed(LETTERS + DIGITS, 6, 14),
                f"{word}{self.choice('@#!_$%^*' + extra)}{self.randint(1, 9999)}",
                f"{word}{self.randint(10, 99999)}",
                self.some(DIGITS, 6, 8),
                self.mixed(LETTERS + DIGITS + "!@#$%^*_+?-." + extra, 8, 20).strip(".?-") + "x9",
                f"P@ss{word}{self.choice('!#$' + extra)}1",
            )
        )

    def prose(self) -> str:
        """Return a password that a sentence may end with."""
        return self.choice((self.mixed(LETTERS + DIGITS, 8, 14), f"{self.choice(WORDS)}@{self.randint(10, 9999)}"))

    def token(self) -> str:
        """Return an opaque token: hexadecimal, base64, URL-safe."""
        return self.choice(
            (
                self.mixed(HEX, 32),
                self.mixed(LETTERS + DIGITS, 20, 48),
                self.mixed(LETTERS + DIGITS + "-_", 24, 64).strip("-_") + "7a",
                base64.b64encode(self.randbytes(self.randint(18, 40))).decode(),
            )
        )

    def access_key(self) -> str:
        """Return the id of a cloud's access key."""
        upper = string.ascii_uppercase + DIGITS
        return self.choice(
            (
                "AKIA" + self.some(upper, 16),
                "ASIA" + self.some(upper, 16),
                "LTAI5t" + self.mixed(LETTERS + DIGITS, 18),
                "LTAI" + self.mixed(LETTERS + DIGITS, 12),
                "AKID" + self.mixed(LETTERS + DIGITS, 32),
            )
        )

    def api_key(self) -> str:
        """Return a key with a prefix that says whose it is."""
        mixed = LETTERS + DIGITS
        return self.choice(
            (
                "sk-" + self.mixed(mixed, 48),
                "sk-proj-" + self.mixed(mixed + "-_", 60).strip("-_") + "4",
                "ghp_" + self.mixed(mixed, 36),
                "github_pat_" + self.mixed(mixed, 22) + "_" + self.mixed(mixed, 59),
                f"xoxb-{self.some(DIGITS, 12)}-{self.some(DIGITS, 12)}-{self.mixed(mixed, 24)}",
                "AIza" + self.mixed(mixed + "-_", 34) + "k",
                "sk_live_" + self.mixed(mixed, 24),
                "glpat-" + self.mixed(mixed, 20),
                "hf_" + self.mixed(mixed, 34),
            )
        )

    def jwt(self) -> str:
        """Return a JSON web token."""

        def part(size: int) -> str:
            return base64.urlsafe_b64encode(self.randbytes(size)).decode().rstrip("=")

        return f"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIx{part(self.randint(20, 60))}.{part(32)}"

    def cookie(self) -> str:
        """Return the pairs of a cookie header."""
        first = f"{self.choice(('JSESSIONID', 'SESSION', 'sid', 'PHPSESSID'))}={self.mixed(HEX, 32)}"
        return "; ".join([first, f"uid={self.randint(1, 999)}", f"auth={self.token()}"][: self.randint(2, 3)])

    def email(self) -> str:
        """Return an address."""
        name = self.choice(("zhang.san", "bob", "alice_w", "li-si+log", "user")) + self.some(DIGITS, 0, 4)
        return f"{name}@{self.choice(('example.com', '163.com', 'qq.com', 'mail.corp.example.cn', 'shop-x.io'))}"

    def id_card(self, *, good: bool = True) -> str:
        """Return a resident's ID number, or one with a wrong check digit."""
        area = self.choice(("110101", "310115", "440305", "510104", "330106", "610113"))
        born = f"{self.randint(1950, 2010)}{self.randint(1, 12):02d}{self.randint(1, 28):02d}"
        body = area + born + self.some(DIGITS, 3)
        check = "10X98765432"[sum(int(d) * (2 ** (17 - i) % 11) for i, d in enumerate(body)) % 11]
        if not good:
            return body + self.choice([d for d in DIGITS if d != check])
        return body + (check.lower() if self.random() < 0.2 else check)

    def card(self, *, good: bool = True) -> str:
        """Return a bank card's number, or one with a wrong check digit."""
        head, size = self.choice(
            (("622202", 19), ("621700", 19), ("6225", 16), ("4", 16), ("53", 16), ("37", 15), ("955880", 19))
        )  # fmt: skip
        body = head + self.some(DIGITS, size - 1 - len(head))
        total = sum(sum(divmod(int(d) * (2 - i % 2), 10)) for i, d in enumerate(reversed(body)))
        check = -total % 10
        if not good:
            return body + self.choice([d for d in DIGITS if d != str(check)])
        made = body + str(check)
        if len(made) == 16 and self.random() < 0.3:
            return self.choice(" -").join(made[i : i + 4] for i in range(0, 16, 4))
        return made

    def phone(self) -> str:
        """Return a Chinese mobile's number."""
        head = self.choice(("138", "139", "150", "159", "186", "187", "177", "199", "166", "147"))
        return head + self.some(DIGITS, 8)

    def plate(self) -> str:
        """Return a licence plate."""
        number = self.choice(PLATES)
        return self.choice("京沪粤浙苏川鲁鄂湘皖") + number[0] + self.choice(("", "", "·")) + number[1:]

    def pem(self) -> str:
        """Return the inside of a PEM block, on one line."""
        return "MIIE" + base64.b64encode(self.randbytes(self.randint(60, 300))).decode()

    def fill(self, template: str) -> str:
        """Return a template with everything but the secret filled in."""
        for name, make in FILLED.items():
            while f"{{{name}}}" in template:
                template = template.replace(f"{{{name}}}", make(self), 1)
        return template


FILLED: dict[str, Callable[[Chance], str]] = {
    "ts": lambda c: (
        f"2026-11-{c.randint(1, 28):02d} {c.randint(0, 23):02d}:{c.randint(0, 59):02d}:07.{c.randint(100, 999)}"
    ),
    "user": lambda c: c.choice(USERS),
    "ip": lambda c: f"10.{c.randint(0, 255)}.{c.randint(0, 255)}.{c.randint(1, 254)}",
    "n": lambda c: str(c.randint(1000, 99999999)),
    "d": lambda c: str(c.randint(2, 999)),
    "d9": lambda c: c.some(DIGITS, 9),
    "d19": lambda c: c.choice("123456789") + c.some(DIGITS, 18),
    "ms": lambda c: f"17{c.some(DIGITS, 11)}",
    "trace": lambda c: c.some(HEX, 32),
    "span": lambda c: c.some(HEX, 16),
    "sha": lambda c: c.some(HEX, 40),
    "uuid": lambda c: "-".join(c.some(HEX, size) for size in (8, 4, 4, 4, 12)),
    "badcard": lambda c: c.card(good=False),
    "badid": lambda c: c.id_card(good=False),
}

QUOTED_EXTRA = " ,;&:)"
# Passwords that hold what their surroundings must escape.
VALUES: dict[tuple[str, str], Callable[[Chance], str]] = {
    ("password", "bare"): Chance.password,
    ("password", "prose"): Chance.prose,
    ("password", "quoted"): lambda c: c.password(QUOTED_EXTRA),
    ("password", "json"): lambda c: c.choice((c.password(QUOTED_EXTRA + "'"), c.password() + '\\"x\\\\y')),
    ("password", "escaped"): lambda c: c.password(QUOTED_EXTRA),
    ("password", "url"): lambda c: c.choice(
        (c.mixed(LETTERS + DIGITS, 6, 14), f"{c.choice(WORDS)}%40{c.some(DIGITS, 4)}", c.choice(WORDS) + "!2#")
    ),
    ("token", "bare"): Chance.token,
    ("token", "json"): Chance.token,
    ("jwt", "bare"): Chance.jwt,
    ("access-key", "id"): Chance.access_key,
    ("access-key", "secret"): lambda c: c.mixed(LETTERS + DIGITS + "/+", 28, 38) + "b2",
    ("api-key", "shape"): Chance.api_key,
    ("api-key", "bare"): lambda c: c.mixed(LETTERS + DIGITS, 24, 40),
    ("private-key", "pem"): Chance.pem,
    ("private-key", "key"): Chance.pem,
    ("session", "bare"): lambda c: c.choice((c.mixed(HEX, 32), c.mixed(LETTERS + DIGITS, 24, 32))),
    ("session", "cookie"): Chance.cookie,
    ("email", "email"): Chance.email,
    ("id-card", "id"): Chance.id_card,
    ("phone", "phone"): Chance.phone,
    ("bank-card", "card"): Chance.card,
    ("plate", "plate"): Chance.plate,
}  # fmt: skip


def planted(per_template: int = 12, seed: int = 0) -> Iterator[Line]:
    """Yield lines with one secret each, `per_template` of every template."""
    chance = Chance(seed)
    for (kind, style), templates in PLANTED.items():
        for number, template in enumerate(templates):
            for _ in range(per_template):
                secret = VALUES[kind, style](chance)
                yield Line(chance.fill(template).replace("§", secret), secret, kind, number % 2 == 1, template)


def decoys(per_template: int = 24, seed: int = 0) -> Iterator[Line]:
    """Yield lines without any secret, `per_template` of every template."""
    chance = Chance(seed + 1)
    for number, template in enumerate(DECOYS):
        for _ in range(per_template):
            yield Line(chance.fill(template), "", "", number % 2 == 1, template)
