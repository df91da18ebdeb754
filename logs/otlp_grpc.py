"""OTLP over gRPC: `LogsService/Export` (OTLP specification 1.x)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Any

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any as Wrapped
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from duolog.plugins.types import Reason, Refused, Store
from logs.engine import otlp
from logs.receivers.otlp import exported

METHOD = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,  # without RetryInfo: for good
}
"""By HTTP status; else INVALID_ARGUMENT, and UNAVAILABLE from 500 on and for 429."""
BUSY = 16
"""Requests at work at a time; one more is told to come again."""
AGAIN = 1
"""Seconds after which to come again, where the store names none."""

Admit = Callable[[Mapping[str, str], bytes], Store]
"""Returns the store that the metadata of a call give access to, for the request of these bytes, by which it is known
when it comes again; raises Refused (401)."""


class Service(grpc.GenericRpcHandler):
    """Takes requests as bytes, which our own reader decodes."""

    def __init__(self, admit: Admit, threads: Executor, max_line: int) -> None:
        self._admit, self._threads, self._max_line = admit, threads, max_line
        self._busy = 0

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Return the handler of the one method there is."""
        if handler_call_details.method != METHOD:
            return None
        return grpc.unary_unary_rpc_method_handler(
            self._export,
            response_serializer=ExportLogsServiceResponse.SerializeToString,
        )

    async def _export(self, request: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> ExportLogsServiceResponse:
        self._busy += 1
        try:
            if self._busy > BUSY:
                raise Refused(503, Reason("too many requests at a time; send this one again"), retry_after=AGAIN)
            about = {name: value for name, value in context.invocation_metadata() or () if isinstance(value, str)}
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, self._work, request, about)
        except Refused as refused:
            code, details = _status(refused)
            await context.abort(code, str(refused.reason), details)
            raise  # not reached: abort raises
        finally:
            self._busy -= 1

    def _work(self, request: bytes, about: Mapping[str, str]) -> ExportLogsServiceResponse:
        store = self._admit(about, request)
        return exported(otlp.from_protobuf(request, self._max_line), store)


def _status(refused: Refused) -> tuple[grpc.StatusCode, tuple[tuple[str, bytes], ...]]:
    """Return the code of a refusal and its details, which tell a client when to come again, if it may."""
    overloaded = refused.status == 429 or refused.status >= 500
    code = grpc.StatusCode.UNAVAILABLE if overloaded else CODES.get(refused.status, grpc.StatusCode.INVALID_ARGUMENT)
    status = Status(code=code.value[0], message=str(refused.reason))
    if overloaded:
        detail = Wrapped()
        detail.Pack(RetryInfo(retry_delay=Duration(seconds=refused.retry_after or AGAIN)))
        status.details.append(detail)
    return code, (("grpc-status-details-bin", status.SerializeToString()),)
