"""What ranks tell each other: they begin alike, learn from the mean gradient, and decide once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

EACH = """
import datetime, json, sys, torch
from analysis.engine import ranks
number = int(sys.argv[1])
torch.distributed.init_process_group(
    "gloo", init_method="file://" + sys.argv[2], rank=number, world_size=2, timeout=datetime.timedelta(seconds=60))
parameters = [torch.nn.Parameter(torch.full((2, 2), float(number + 3))), torch.nn.Parameter(torch.ones(1))]
ranks.share(parameters)
parameters[0].grad = torch.full((2, 2), 1.0 + 4 * number)
ranks.average(parameters)
print(json.dumps([ranks.size(), ranks.agree(0.5 + number), parameters[0][0, 0].item(), parameters[0].grad.tolist()]))
"""


def test_two_ranks_go_on_as_one(tmp_path: Path) -> None:
    command = [sys.executable, "-c", EACH]
    started = [
        subprocess.Popen([*command, str(number), str(tmp_path / "meet")], stdout=subprocess.PIPE, env=os.environ)
        for number in range(2)
    ]
    told = [json.loads(child.communicate(timeout=100)[0]) for child in started]
    assert told == [[2, 0.5, 3.0, [[3.0, 3.0], [3.0, 3.0]]]] * 2
