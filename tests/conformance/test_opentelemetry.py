"""The OpenTelemetry SDK, over HTTP and gRPC, packed and not."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from shipping import Live

pytestmark = pytest.mark.django_db(transaction=True)


def log(exporter: Any, name: str = "shop") -> bool:
    """Log through the SDK as an application does; return whether all could be handed over."""
    provider = LoggerProvider(Resource.create({"service.name": name, "host.name": "pod-1"}))
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    logger = logging.Logger("app.orders", logging.DEBUG)
    logger.addHandler(LoggingHandler(logger_provider=provider))
    with TracerProvider().get_tracer("t").start_as_current_span("s") as span:
        logger.info("订单 %d created", 17, extra={"user": {"id": 7}, "amount": 9.5})
        identity = format(span.get_span_context().trace_id, "032x")
    try:
        raise ValueError("no stock")
    except ValueError:
        logger.exception("failed\nin two lines")
    done = provider.force_flush()
    provider.shutdown()
    log.trace_id = identity  # type: ignore[attr-defined]
    return bool(done)


def check(live: Live) -> None:
    first, second = sorted(live.wait(2), key=lambda line: line.level, reverse=True)
    assert (first.text, first.service, first.level) == ("订单 17 created", "shop", "info")
    assert first.attributes["trace_id"] == log.trace_id  # type: ignore[attr-defined]
    assert first.attributes["host"] == "pod-1"
    assert first.attributes["user.id"] == "7"
    assert first.attributes["scope.name"] == "app.orders"
    assert first.time > 1.7e9
    assert (second.text, second.level) == ("failed\nin two lines", "error")
    assert "no stock" in second.attributes["exception.stacktrace"]


@pytest.mark.parametrize("compression", list(Compression))
@pytest.mark.parametrize("path", ["/v1/logs", "/otlp/v1/logs", "/in/shop/v1/logs"])
def test_over_http(live: Live, compression: Compression, path: str) -> None:
    assert log(OTLPLogExporter(live.url + path, headers=live.bearer, compression=compression))
    check(live)


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_over_grpc(live: Live, listen: Callable[..., dict[str, int]], compression: grpc.Compression) -> None:
    port = listen("otlp+grpc://127.0.0.1:0")["otlp+grpc"]
    headers = {"authorization": live.bearer["Authorization"]}
    assert log(GrpcExporter(f"127.0.0.1:{port}", insecure=True, headers=headers, compression=compression))
    check(live)


def test_a_wrong_token_is_told_at_once(live: Live, listen: Callable[..., dict[str, int]]) -> None:
    port = listen("otlp+grpc://127.0.0.1:0")["otlp+grpc"]
    log(GrpcExporter(f"127.0.0.1:{port}", insecure=True, headers={"authorization": "Bearer duo_wrong"}))
    log(OTLPLogExporter(live.url + "/v1/logs", headers={"Authorization": "Bearer duo_wrong"}))
    assert live.texts() == []
