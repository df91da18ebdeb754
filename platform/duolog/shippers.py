"""Settings of shippers, ready to copy: what to write where so that lines come here."""

from __future__ import annotations

from dataclasses import dataclass
from string import Template
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Shipper:
    """A shipper's name, where its settings stand, the settings, and what else there is to know."""

    name: str
    file: str
    text: str
    note: StrOrPromise = ""


# In each: $url with the project's prefix, and what it consists of; $token; $on where TLS is switched by a word.
CURL = """\
curl --fail-with-body -H 'Authorization: Bearer $token' \\
  --json '{"message": "order 1001 accepted", "service": "shop", "level": "info", "trace_id": "t-1"}' \\
  $url/api/v1/ingest
"""
COLLECTOR = """\
exporters:
  otlphttp/duolog:
    endpoint: $url
    headers:
      Authorization: Bearer $token
service:
  pipelines:
    logs:
      receivers: [otlp]
      processors: [batch]
      exporters: [otlphttp/duolog]
"""
FLUENT_BIT = """\
pipeline:
  outputs:
    - name: http
      match: '*'
      host: $host
      port: $port
      tls: $on
      uri: $path/api/v1/ingest
      format: json_lines
      json_date_key: time
      json_date_format: iso8601
      header: Authorization Bearer $token
      compress: gzip
      retry_limit: no_limits
"""
VECTOR = """\
sinks:
  duolog:
    type: http
    inputs: [my_source]
    uri: $url/api/v1/ingest
    encoding:
      codec: json
    framing:
      method: newline_delimited
    compression: gzip
    auth:
      strategy: bearer
      token: $token
"""
ALLOY = """\
loki.write "duolog" {
  endpoint {
    url          = "$url/loki/api/v1/push"
    bearer_token = "$token"
  }
}
"""
PROMTAIL = """\
clients:
  - url: $url/loki/api/v1/push
    bearer_token: $token
"""
FILEBEAT = """\
output.elasticsearch:
  hosts: ["$scheme://$host:$port$path"]
  api_key: "duolog:$token"
setup.template.enabled: false
setup.ilm.enabled: false
"""
RSYSLOG = """\
module(load="omelasticsearch")
template(name="duolog" type="list" option.jsonf="on") {
  property(outname="@timestamp" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="message" name="msg" format="jsonf")
  property(outname="service" name="programname" format="jsonf")
  property(outname="severity" name="syslogseverity-text" format="jsonf")
  property(outname="host" name="hostname" format="jsonf")
}
*.* action(type="omelasticsearch" server="$host" serverport="$port" usehttps="$on" uid="duolog" pwd="$token"
           template="duolog" searchIndex="logs" searchType="" bulkmode="on"
           queue.type="LinkedList" action.resumeRetryCount="-1")
"""
PYTHON = """\
import logging

from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource

exporter = OTLPLogExporter("$url/v1/logs", headers={"Authorization": "Bearer $token"})
provider = LoggerProvider(Resource.create({"service.name": "shop"}))
provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
logging.getLogger().addHandler(LoggingHandler(logger_provider=provider))
logging.getLogger().setLevel(logging.INFO)

logging.info("order %s accepted", 1001)
"""
KNOWN = [
    Shipper("curl", "", CURL, _("Run it once: one line, to see whether it arrives.")),
    Shipper("OpenTelemetry Collector", "config.yaml", COLLECTOR, _("Keep your own receivers and processors.")),
    Shipper("Fluent Bit", "fluent-bit.yaml", FLUENT_BIT),
    Shipper("Vector", "vector.yaml", VECTOR, _("Name your own sources under inputs.")),
    Shipper("Grafana Alloy", "config.alloy", ALLOY, _("Send to it with forward_to = [loki.write.duolog.receiver].")),
    Shipper("Promtail", "promtail.yaml", PROMTAIL),
    Shipper("Filebeat", "filebeat.yml", FILEBEAT, _("Instead of the output that stands there: Filebeat has one.")),
    Shipper(
        "rsyslog", "/etc/rsyslog.d/duolog.conf", RSYSLOG, _("On Debian it needs the package rsyslog-elasticsearch.")
    ),
    Shipper(
        "Python logging",
        "",
        PYTHON,
        _("It needs the packages opentelemetry-sdk and opentelemetry-exporter-otlp-proto-http."),
    ),
]


def settings(url: str, token: str) -> list[Shipper]:
    """Return the settings of each known shipper, for a project's address (without a slash at its end) and a token."""
    parts = urlsplit(url)
    values = {
        "url": url,
        "scheme": parts.scheme,
        "host": parts.hostname or "",
        "port": parts.port or PORTS[parts.scheme],
        "path": parts.path,
        "on": "on" if parts.scheme == "https" else "off",
        "token": token,
    }
    return [Shipper(one.name, one.file, Template(one.text).substitute(values), one.note) for one in KNOWN]
