#!/usr/bin/env python
"""Run a command of Duolog from a checkout; `duolog` is the same after an install."""

import sys
from pathlib import Path

# platform/ is a folder, not a package: see platform/README.md.
sys.path.insert(0, str(Path(__file__).parent / "platform"))

if __name__ == "__main__":
    from duolog.cli import main

    main()
