"""OTLP over HTTP: `POST /v1/logs` in protobuf or JSON (OTLP specification 1.x)."""

from __future__ import annotations

import msgspec
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from duolog.plugins.points import Receiver
from duolog.plugins.types import LogBatch, Reason, Receipt, Received, Refused, Reply, Store
from logs.engine import otlp, otlp_json
from logs.receivers.common import ReceiverOptions, is_json

PROTOBUF = "application/x-protobuf"
CODES = {400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 413: 8, 415: 3, 503: 14}
"""google.rpc.Code by HTTP status; else 2, unknown."""


class Otlp(Receiver):
    """OpenTelemetry SDKs, Collector, Fluent Bit `opentelemetry`, Vector."""

    Options = ReceiverOptions
    paths = (r"(?:otlp/)?v1/logs",)
    overloaded = 503  # some SDKs take 429 for good

    def handle(self, request: Received, store: Store) -> Reply:
        """Answer 200, and `partial_success` where records were quarantined: the client must not send them again."""
        if request.method != "POST":
            raise Refused(405, Reason("use POST"))
        if is_json(request):
            batch = otlp_json.from_json(request.body, self.options.max_line)
        elif _is_protobuf(request):
            batch = otlp.from_protobuf(request.body, self.options.max_line)
        else:
            raise Refused(415, Reason("the content type must be %(known)s", known=f"{PROTOBUF}, application/json"))
        answer = exported(batch, store)
        if is_json(request):
            partial = answer.partial_success
            told = {"rejectedLogRecords": str(partial.rejected_log_records), "errorMessage": partial.error_message}
            return Reply(200, msgspec.json.encode({"partialSuccess": told} if partial.error_message else {}))
        return Reply(200, answer.SerializeToString(), PROTOBUF)

    def refuse(self, request: Received, refused: Refused) -> Reply:
        """Answer google.rpc.Status in the request's encoding; never 500, after which clients drop what they have."""
        status = 503 if refused.status == 429 or refused.status >= 500 else refused.status
        headers = {"Retry-After": str(refused.retry_after)} if refused.retry_after else {}
        code = CODES.get(status, 2)
        if _is_protobuf(request):
            return Reply(status, Status(code=code, message=str(refused.reason)).SerializeToString(), PROTOBUF, headers)
        return Reply(status, msgspec.json.encode({"code": code, "message": str(refused.reason)}), headers=headers)


def exported(batch: LogBatch, store: Store) -> ExportLogsServiceResponse:
    """Have a batch stored, if there is anything in it, and return what an OTLP server answers."""
    if not batch.texts and not batch.rejected:
        return ExportLogsServiceResponse()
    receipt = store(batch)
    answer = ExportLogsServiceResponse()
    if receipt.rejected:
        answer.partial_success.rejected_log_records = receipt.rejected
        answer.partial_success.error_message = _told(batch, receipt)
    return answer


def _told(batch: LogBatch, receipt: Receipt) -> str:
    first = f"; record {batch.rejected[0].row}: {batch.rejected[0].reason}" if batch.rejected else ""
    return f"{receipt.rejected} records were put into quarantine (receipt {receipt.id}){first}"


def _is_protobuf(request: Received) -> bool:
    return request.content_type.partition(";")[0].strip().lower() in (PROTOBUF, "application/protobuf")
