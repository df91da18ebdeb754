"""The house plan, where a slip would not show up elsewhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_platform_is_a_folder_and_not_a_package():
    assert not (ROOT / "platform" / "__init__.py").exists()


def test_the_web_process_starts_without_torch():
    code = "import django, sys; django.setup(); import duolog.urls, duolog.wsgi; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
