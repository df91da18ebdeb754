"""python-logging-loki, and npm's pino-loki or winston-loki where they are installed."""

from __future__ import annotations

import logging
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import logging_loki
import pytest
from shipping import Live

pytestmark = pytest.mark.django_db(transaction=True)

PINO = """
const pino = require('pino')
const logger = pino(pino.transport({target: 'pino-loki', options: {
  host: process.argv[2], basicAuth: {username: 'shop', password: process.argv[3]}, labels: {app: 'shop'},
  batching: process.argv[4] === 'batch' ? {interval: 1} : false}}))
logger.warn('订单 1 ' + process.argv[4])
setTimeout(() => logger.flush(() => setTimeout(() => process.exit(0), 2500)), 200)
"""
WINSTON = """
const {createLogger, format} = require('winston')
const LokiTransport = require('winston-loki')
const logger = createLogger({transports: [new LokiTransport({
  host: process.argv[2], basicAuth: 'shop:' + process.argv[3], labels: {app: 'shop'}, json: process.argv[4] === 'json',
  interval: 1, format: format.json(), onConnectionError: error => { console.error(error); process.exit(1) }})]})
logger.warn('订单 1 ' + process.argv[4])
setTimeout(() => process.exit(0), 3000)
"""


@pytest.mark.parametrize("version", ["0", "1"])
def test_python_logging_loki(live: Live, version: str) -> None:
    path = "/loki/api/v1/push" if version == "1" else "/api/prom/push"
    handler = logging_loki.LokiHandler(
        live.url + path, tags={"app": "shop"}, auth=("shop", live.token), version=version
    )
    handler.handleError = lambda record: pytest.fail("the handler could not hand over a line")
    logger = logging.Logger("orders")
    logger.addHandler(handler)
    logger.warning('订单 %d "quoted"', 17, extra={"tags": {"trace_id": "t1"}})
    line = live.wait(1)[0]
    assert (line.text, line.service, line.level) == ('订单 17 "quoted"', "shop", "warn")
    assert (line.attributes["trace_id"], line.attributes["logger"]) == ("t1", "orders")
    assert line.time > 1.7e9


@pytest.mark.slow
@pytest.mark.parametrize(
    ("package", "script", "how"),
    [
        ("pino-loki", PINO, "batch"),
        ("pino-loki", PINO, "single"),
        ("winston-loki", WINSTON, "json"),
        ("winston-loki", WINSTON, "protobuf"),
    ],
)
def test_node(live: Live, program: Callable[..., str], tmp_path: Path, package: str, script: str, how: str) -> None:
    """The packages lie in the folder that DUOLOG_NODE_MODULES names (docs/shippers.md); they are not ours."""
    modules = Path(os.environ.get("DUOLOG_NODE_MODULES", ""))
    if not (modules / package).is_dir() or not modules.name:
        pytest.skip(f"{package} is not installed in DUOLOG_NODE_MODULES")
    (tmp_path / "ship.cjs").write_text(script, encoding="utf-8")
    (tmp_path / "node_modules").symlink_to(modules)
    done = subprocess.run(
        [program("node"), "ship.cjs", live.url, live.token, how], cwd=tmp_path, capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stderr.decode()
    line = live.wait(1)[0]
    assert f"订单 1 {how}" in line.text
    assert line.service == "shop"
    assert line.level in ("warn", "")
