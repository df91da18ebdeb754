"""The randomness of the shop, equal on any machine, and what is drawn with it: the values of a request, and noise."""

from __future__ import annotations

from hashlib import shake_128
from math import comb

BLOCK = 168  # bytes: as many as SHAKE-128 gives in one step, and more than anything here takes


def roll(*key: object) -> bytes:
    """Return random bytes that depend on the key alone, and are equal on any machine."""
    return shake_128("/".join(map(str, key)).encode()).digest(BLOCK)


class Draws:
    """Random numbers, drawn one by one from the bytes of `roll`."""

    __slots__ = ("byte",)

    def __init__(self, *key: object) -> None:
        self.byte = iter(roll(*key)).__next__

    def __call__(self, below: int) -> int:
        """Return a number below `below`, which is small beside 65,536."""
        return (self.byte() << 8 | self.byte()) % below

    def long(self) -> int:
        """Return 32 bits."""
        return self.byte() << 24 | self.byte() << 16 | self.byte() << 8 | self.byte()


def details(draw: Draws) -> tuple[str, ...]:
    """Return the values of a request that are named in CONSTANT from "user" on."""
    low, high, more = draw.long(), draw.long(), draw.long()
    values = (
        10_000 + high % 89_999, 1000 + more % 8999, 1 + high % 900, f"{high % 9_999}.{low % 100:02d}",
        1000 + low % 8999, 1000 + more % 29_000, f"10.{low % 256}.{high % 256}.{1 + more % 254}",
        f"node-{more % 40}.cluster.local", f"10.{high % 256}.{more % 256}.7:{3306 + low % 3}", 20 + low % 9000,
        more % 100, 900 + low % 7000, 60 + high % 40, f"v1.{more % 40}.{low % 9}",
        ("t_order", "t_stock", "t_user")[low % 3], ("/data", "/var/lib/mysql")[high % 2], f"shop-{more:08x}",
        ("order-events", "user-notify")[low % 2], high % 9_000_000, f"{more:08x}{low:08x}", f"CP{more}", f"SF{high}",
        f"WH{low % 9}",
    )  # fmt: skip
    return tuple(map(str, values))


def binomial(tries: int, share: float) -> list[int]:
    """Return a table from a random byte to the number of successes."""
    table: list[int] = []
    total = 0.0
    for successes in range(tries + 1):
        total += comb(tries, successes) * share**successes * (1 - share) ** (tries - successes)
        table += [successes] * (round(256 * total) - len(table))
    return table
