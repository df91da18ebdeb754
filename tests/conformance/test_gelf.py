"""pygelf, over UDP (packed, in chunks), TCP and HTTP."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from pygelf import GelfHttpHandler, GelfTcpHandler, GelfUdpHandler
from shipping import Live

pytestmark = pytest.mark.django_db(transaction=True)


def log(handler: logging.Handler, text: str = "订单 17") -> None:
    logger = logging.Logger("orders")
    logger.addHandler(handler)
    handler.handleError = lambda record: pytest.fail("the handler could not hand over a line")  # type: ignore[method-assign]
    logger.warning(text, extra={"trace_id": "t1"})
    try:
        raise ValueError("no stock")
    except ValueError:
        logger.exception("failed")
    handler.close()


def check(live: Live, text: str = "订单 17") -> None:
    first, second = sorted(live.wait(2), key=lambda line: line.level, reverse=True)
    assert (first.text, first.service, first.level) == (text, "shop", "warn")
    assert first.attributes["trace_id"] == "t1"
    assert first.time > 1.7e9
    assert second.text.startswith("failed\nTraceback")
    assert second.text.endswith("no stock")


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("text", ["订单 17", "订单" + "长" * 20_000])
def test_udp(live: Live, listen: Callable[..., dict[str, int]], compress: bool, text: str) -> None:
    port = listen("gelf+udp://127.0.0.1:0")["gelf+udp"]
    options: dict[str, Any] = {"compress": compress, "include_extra_fields": True, "_service": "shop"}
    log(GelfUdpHandler("127.0.0.1", port, **options), text)
    check(live, text)


def test_tcp(live: Live, listen: Callable[..., dict[str, int]]) -> None:
    port = listen("gelf+tcp://127.0.0.1:0")["gelf+tcp"]
    log(GelfTcpHandler("127.0.0.1", port, include_extra_fields=True, _service="shop"))
    check(live)


def test_http(live: Live) -> None:
    """Its path is free to choose but headers are not, so the token is a part of the address."""
    handler = GelfHttpHandler("127.0.0.1", live.port, path="/gelf", include_extra_fields=True, _service="shop")
    handler.headers = {**getattr(handler, "headers", {}), **live.bearer}
    log(handler)
    check(live)
