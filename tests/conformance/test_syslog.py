"""Python's own handler, util-linux's logger, rsyslog and syslog-ng."""

from __future__ import annotations

import logging.handlers
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from shipping import Live

pytestmark = pytest.mark.django_db(transaction=True)

Listen = Callable[..., dict[str, int]]


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_python(live: Live, listen: Listen, kind: socket.SocketKind) -> None:
    ports = listen("syslog+udp://127.0.0.1:0", "syslog+tcp://127.0.0.1:0")
    port = ports["syslog+udp" if kind == socket.SOCK_DGRAM else "syslog+tcp"]
    handler = logging.handlers.SysLogHandler(("127.0.0.1", port), socktype=kind)
    handler.setFormatter(logging.Formatter("shop[42]: %(message)s"))
    if kind == socket.SOCK_STREAM:
        handler.append_nul = False
        handler.setFormatter(logging.Formatter("shop[42]: %(message)s\n"))
    logger = logging.Logger("orders")
    logger.addHandler(handler)
    logger.warning("订单 1")
    logger.error("订单 2")
    handler.close()
    first, second = live.wait(2)
    assert (first.text, first.service, first.level, first.attributes["host"]) == ("订单 1", "shop", "warn", "127.0.0.1")
    assert (second.text, second.level, second.attributes["pid"]) == ("订单 2", "error", "42")


@pytest.mark.parametrize(
    "options",
    [["--udp"], ["--tcp"], ["--udp", "--rfc3164"], ["--tcp", "--rfc5424"], ["--tcp", "--rfc5424", "--octet-count"]],
)
def test_logger(live: Live, listen: Listen, program: Callable[..., str], options: list[str]) -> None:
    ports = listen("syslog+udp://127.0.0.1:0", "syslog+tcp://127.0.0.1:0")
    port = ports["syslog+udp" if "--udp" in options else "syslog+tcp"]
    command = [program("logger"), "--server", "127.0.0.1", "--port", str(port), "--tag", "shop", "--id=7", *options]
    for text in ("订单 1", "second: with [brackets]"):
        subprocess.run([*command, "--priority", "local0.err", text], check=True, timeout=20)
    first, second = sorted(live.wait(2), reverse=True)
    assert (first.text, first.service, first.level) == ("订单 1", "shop", "error")
    assert (second.text, second.attributes["facility"]) == ("second: with [brackets]", "local0")
    assert first.attributes["pid"] == "7"
    assert first.time > 1.7e9


RSYSLOG = """
global(workDirectory="{folder}")
module(load="imuxsock" SysSock.Use="off")
module(load="imfile" PollingInterval="1")
{modules}
template(name="es" type="list" option.jsonf="on") {{
  property(outname="@timestamp" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="message" name="msg" format="jsonf")
  property(outname="service" name="programname" format="jsonf")
  property(outname="severity" name="syslogseverity-text" format="jsonf")
}}
input(type="imfile" File="{log}" Tag="shop:" Severity="warning" Facility="local0")
local0.* {action}
"""
RSYSLOG_ACTIONS = {
    "udp": 'action(type="omfwd" target="127.0.0.1" port="{udp}" protocol="udp")',
    "tcp": 'action(type="omfwd" target="127.0.0.1" port="{tcp}" protocol="tcp" template="RSYSLOG_ForwardFormat")',
    "tcp, counted": 'action(type="omfwd" target="127.0.0.1" port="{tcp}" protocol="tcp" TCP_Framing="octet-counted" '
    'template="RSYSLOG_SyslogProtocol23Format")',
    "omelasticsearch": 'action(type="omelasticsearch" server="127.0.0.1" serverport="{http}" template="es" '
    'bulkmode="on" searchIndex="logs" searchType="" uid="shop" pwd="{token}" errorfile="{folder}/errors")',
    "omhttp": 'action(type="omhttp" server="127.0.0.1" serverport="{http}" useHttps="off" template="es" batch="on" '
    'batch.format="jsonarray" restpath="api/v1/ingest" httpheaders=["Authorization: Bearer {token}"])',
}


@pytest.mark.slow
@pytest.mark.parametrize("how", list(RSYSLOG_ACTIONS))
def test_rsyslog(
    live: Live, listen: Listen, program: Callable[..., str], running: Callable[..., object], tmp_path: Path, how: str
) -> None:
    server = program("rsyslogd")
    modules = ""
    if how.startswith("om"):
        if not list(Path("/usr/lib").glob(f"**/rsyslog/{how}.so")):
            pytest.skip(f"rsyslog has no {how} here")
        modules = f'module(load="{how}")'
    ports = listen("syslog+udp://127.0.0.1:0", "syslog+tcp://127.0.0.1:0")
    log = tmp_path / "shop.log"
    log.write_text("订单 1\nsecond\n", encoding="utf-8")
    values = {"udp": ports["syslog+udp"], "tcp": ports["syslog+tcp"], "http": live.port, "token": live.token}
    action = RSYSLOG_ACTIONS[how].format(**values, folder=tmp_path)
    config = tmp_path / "rsyslog.conf"
    config.write_text(RSYSLOG.format(folder=tmp_path, log=log, modules=modules, action=action), encoding="utf-8")
    running(server, "-n", "-f", config, "-i", tmp_path / "pid")
    second, first = live.wait(2)
    assert (first.text.strip(), first.service, first.level) == ("订单 1", "shop", "warn")
    assert second.text.strip() == "second"
    assert first.time > 1.7e9


SYSLOG_NG = """
@version: {version}
source s {{ file("{log}" flags(no-parse) program-override("shop") follow-freq(1)); }};
destination d {{ {driver} }};
log {{ source(s); destination(d); }};
"""
SYSLOG_NG_DRIVERS = {
    "udp": 'network("127.0.0.1" port({udp}) transport("udp"));',
    "tcp": 'network("127.0.0.1" port({tcp}) transport("tcp"));',
    "syslog over tcp": 'syslog("127.0.0.1" port({tcp}) transport("tcp"));',
}


@pytest.mark.slow
@pytest.mark.parametrize("how", list(SYSLOG_NG_DRIVERS))
def test_syslog_ng(
    live: Live, listen: Listen, program: Callable[..., str], running: Callable[..., object], tmp_path: Path, how: str
) -> None:
    server = program("syslog-ng")
    told = subprocess.run([server, "--version"], capture_output=True, text=True, timeout=20).stdout
    if not told:
        pytest.skip("syslog-ng does not run here")
    ports = listen("syslog+udp://127.0.0.1:0", "syslog+tcp://127.0.0.1:0")
    log = tmp_path / "shop.log"
    log.write_text("订单 1\nsecond\n", encoding="utf-8")
    driver = SYSLOG_NG_DRIVERS[how].format(udp=ports["syslog+udp"], tcp=ports["syslog+tcp"])
    version = next(line.split(":")[1].strip() for line in told.splitlines() if line.startswith("Config version"))
    config = tmp_path / "syslog-ng.conf"
    config.write_text(SYSLOG_NG.format(log=log, driver=driver, version=version), encoding="utf-8")
    files = {name: tmp_path / name for name in ("persist-file", "pidfile", "control")}
    running(server, "-F", "--no-caps", "-f", config, *(f"--{name}={path}" for name, path in files.items()))
    second, first = live.wait(2)
    assert (first.text.strip(), first.service) == ("订单 1", "shop")
    assert second.text.strip() == "second"


def test_tls(live: Live, listen: Listen, program: Callable[..., str], tmp_path: Path) -> None:
    """RFC 5425 by Python's own TLS; the certificate is made by openssl."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -days 2"
    command += f" -keyout {key} -out {cert}"
    subprocess.run([program("openssl"), *command.split()], check=True, capture_output=True, timeout=30)
    port = listen(f"syslog+tls://127.0.0.1:0?cert={cert}&key={key}")["syslog+tls"]
    context = ssl.create_default_context(cafile=str(cert))
    context.check_hostname = False
    with socket.create_connection(("127.0.0.1", port)) as plain, context.wrap_socket(plain) as stream:
        message = "<132>1 2026-11-25T08:00:00Z web shop 7 - - 订单 1".encode()
        stream.sendall(b"%d %s" % (len(message), message))
    line = live.wait(1)[0]
    assert (line.text, line.service, line.level, line.time) == ("订单 1", "shop", "warn", 1795593600.0)
