"""The suites that third-party authors get hold for our own plugins, and for the dummy's."""

from __future__ import annotations

import io

import cramjam
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs

from analysis.analysts.rules import Rules
from analysis.notifiers.alertmanager import Alertmanager
from analysis.notifiers.dingtalk import DingTalk
from analysis.notifiers.feishu import Feishu
from analysis.notifiers.slack import Slack
from analysis.notifiers.webhook import Webhook
from analysis.notifiers.wecom import WeCom
from detection.detectors.counts import Counts
from detection.detectors.next_keys import DeepLog, LogBert
from duolog.plugins import registry
from duolog.plugins.testing import (
    AnalystConformance,
    DetectorConformance,
    FormatConformance,
    GeneratorConformance,
    NotifierConformance,
    ReceiverConformance,
)
from duolog.plugins.types import LogSequence
from logs.formats.alpaca import Alpaca
from logs.formats.bgl import Bgl
from logs.formats.chat import Chat
from logs.formats.classification import Classification
from logs.formats.columnar import Parquet
from logs.formats.hdfs import Hdfs
from logs.formats.jsonl import Jsonl
from logs.formats.seed import Seed
from logs.formats.table import Csv
from logs.formats.text import Text
from logs.formats.training import Training
from logs.receivers.elastic import Elastic
from logs.receivers.gelf import Gelf
from logs.receivers.ingest import Ingest
from logs.receivers.loki import Loki, Push
from logs.receivers.otlp import Otlp
from logs.receivers.splunk import Splunk
from training.generators.incidents import Incidents
from training.generators.microservices import Microservices

ROWS = (
    '{"sequence_id": "seq_001", "label": 0, "length": 2, "log_entries": ["启动服务 \\"a\\"", "done [1] {2}"]}',
    '{"sequence_id": "seq_002", "label": 1, "log_entries": ["连接超时"], "anomaly_type": "超时异常", "x": [1]}',
)


def _parquet() -> bytes:
    stream = io.BytesIO()
    Parquet().write(iter([LogSequence("a", ("启动", "x"), 0), LogSequence("b", ("超时",), 1, "超时异常")]), stream)
    return stream.getvalue()


class TestSeed(FormatConformance):
    plugin = Seed
    sample = f"[\n{ROWS[0]},\n{ROWS[1]}\n]".encode()


class TestJsonl(FormatConformance):
    plugin = Jsonl
    sample = "\n".join(ROWS).encode()


class TestTraining(FormatConformance):
    plugin = Training
    sample = '[{"log_sequence": "一\\n二", "label": "正常"}, {"log_sequence": "三", "label": "异常"}]'.encode()


class TestTrainingLines(FormatConformance):
    plugin = Training
    sample = '{"log_sequence": "一\\n二", "label": "正常"}\n{"log_sequence": "三", "label": "异常"}\n'.encode()


class TestCsv(FormatConformance):
    plugin = Csv
    sample = 'sequence_id,label,log_entries\r\na,0,"[""x"", ""y, z""]"\r\nb,1,"[""数据库错误""]"\r\n'.encode()


class TestCsvOfTexts(FormatConformance):
    plugin = Csv
    sample = 'sequence_id,label,log_sequence\na,正常,"x\ny"\nb,异常,数据库错误\n'.encode()


class TestCsvOfLines(FormatConformance):
    plugin = Csv
    sample = "trace_id;level;message\na;INFO;启动\nb;INFO;up\na;ERROR;超时\n".encode()


class TestClassification(FormatConformance):
    plugin = Classification
    sample = (
        '[{"sequence_id": "a", "log_sequence": "一\\n二", "label": "异常", "category": "网络", '
        '"anomaly_type": "超时异常", "severity": "high", "root_cause_lines": [2], '
        '"explanation": "第2行", "recommendations": ["查"]}]'
    ).encode()


class TestAlpaca(FormatConformance):
    plugin = Alpaca
    sample = '[{"instruction": "判断：", "input": "1: 一\\n2: 二", "output": "结论：异常"}]'.encode()


class TestChat(FormatConformance):
    plugin = Chat
    sample = (
        b'{"messages": [{"role": "user", "content": "Judge:\\n1: a\\n2: b"}, '
        b'{"role": "assistant", "content": "Verdict: normal"}]}\n'
    )


class TestParquet(FormatConformance):
    plugin = Parquet
    sample = _parquet()


class TestHdfs(FormatConformance):
    plugin = Hdfs
    sample = b"".join(b"081109 20351%d 143 INFO dfs.DataNode: Receiving block blk_%d\n" % (n, n % 3) for n in range(9))


class TestBgl(FormatConformance):
    plugin = Bgl
    options = {"window": 2}
    sample = b"".join(b"- 111783857%d 2005.06.03 R0%d RAS KERNEL INFO corrected\n" % (n, n % 2) for n in range(9))


class TestText(FormatConformance):
    plugin = Text
    options = {"window": 3}
    sample = "".join(f"2026-11-23 19:00:{second:02d} 第{second}行\n" for second in range(9)).encode()


class TestPipes(FormatConformance):
    plugin = registry.get("duolog.formats", "pipes")
    sample = b"seq_1|0|started|stopped\nseq_2|1|failed\n"


class TestOtlp(ReceiverConformance):
    plugin = Otlp
    path = "v1/logs"
    content_type = "application/x-protobuf"
    sample = ExportLogsServiceRequest(
        resource_logs=[
            ResourceLogs(scope_logs=[ScopeLogs(log_records=[LogRecord(body=AnyValue(string_value="订单 17"))])])
        ]
    ).SerializeToString()


class TestOtlpJson(ReceiverConformance):
    plugin = Otlp
    path = "otlp/v1/logs"
    sample = (
        '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1","body":{"stringValue":"订单 17"}}]}]}]}'
    ).encode()


class TestLoki(ReceiverConformance):
    plugin = Loki
    path = "loki/api/v1/push"
    content_type = "application/x-protobuf"
    sample = bytes(
        cramjam.snappy.compress_raw(
            Push(streams=[{"labels": b'{app="shop"}', "entries": [{"line": "订单 17".encode()}]}]).SerializeToString()
        )
    )


class TestLokiJson(ReceiverConformance):
    plugin = Loki
    path = "loki/api/v1/push"
    sample = '{"streams":[{"stream":{"app":"shop"},"values":[["1795593600000000000","订单 17"]]}]}'.encode()


class TestElastic(ReceiverConformance):
    plugin = Elastic
    path = "_bulk"
    sample = '{"create":{"_index":"x"}}\n{"message":"订单 17"}\n'.encode()


class TestIngest(ReceiverConformance):
    plugin = Ingest
    path = "api/v1/ingest"
    sample = '{"message":"订单 17"}\n{"message":"two"}\n'.encode()


class TestSplunk(ReceiverConformance):
    plugin = Splunk
    path = "services/collector/event"
    sample = '{"event":"订单 17"}{"event":"two"}'.encode()


class TestGelf(ReceiverConformance):
    plugin = Gelf
    path = "gelf"
    sample = '{"version":"1.1","host":"h","short_message":"订单 17"}'.encode()


class TestLength(DetectorConformance):
    plugin = registry.get("duolog.detectors", "length")


class TestEcho(AnalystConformance):
    plugin = registry.get("duolog.analysts", "echo")


class TestRules(AnalystConformance):
    plugin = Rules


class TestDeepLog(DetectorConformance):
    plugin = DeepLog


class TestLogBert(DetectorConformance):
    plugin = LogBert


@pytest.mark.parametrize("method", ["forest", "pca"])
class TestCounts(DetectorConformance):
    plugin = Counts

    @pytest.fixture(autouse=True)
    def _by(self, method: str) -> None:
        self.options = {"method": method}  # type: ignore[misc]


@pytest.mark.parametrize("language", ["zh", "en", "mixed"])
class TestMicroservices(GeneratorConformance):
    plugin = Microservices

    @pytest.fixture(autouse=True)
    def _speak(self, language: str) -> None:
        self.options = {"language": language}  # type: ignore[misc]


@pytest.mark.parametrize("language", ["zh", "en", "mixed", "pairs"])
class TestIncidents(GeneratorConformance):
    plugin = Incidents

    @pytest.fixture(autouse=True)
    def _speak(self, language: str) -> None:
        self.options = {"language": language}  # type: ignore[misc]


@pytest.mark.usefixtures("near")
class TestAlertmanager(NotifierConformance):
    plugin = Alertmanager
    options = {"user": "duolog", "password": "alertmanager-secret"}


@pytest.mark.usefixtures("near")
class TestWebhook(NotifierConformance):
    plugin = Webhook
    options = {"secret": "webhook-secret", "language": "zh"}


@pytest.mark.usefixtures("near")
class TestSlack(NotifierConformance):
    plugin = Slack


@pytest.mark.usefixtures("near")
class TestDingTalk(NotifierConformance):
    plugin = DingTalk
    options = {"secret": "dingtalk-secret"}
    path = "/robot/send?access_token=dingtalk-token"
    ok = b'{"errcode":0}'


@pytest.mark.usefixtures("near")
class TestFeishu(NotifierConformance):
    plugin = Feishu
    options = {"secret": "feishu-secret", "language": "zh"}
    ok = b'{"code":0}'
    most = 20 << 10


@pytest.mark.usefixtures("near")
class TestWeCom(NotifierConformance):
    plugin = WeCom
    path = "/cgi-bin/webhook/send?key=wecom-key"
    ok = b'{"errcode":0}'
    most = 2 * 4096


@pytest.mark.usefixtures("near")
class TestPager(NotifierConformance):
    plugin = registry.get("duolog.notifiers", "pager")
    options = {"key": "pager-key"}
