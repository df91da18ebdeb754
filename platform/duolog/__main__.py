"""`python -m duolog COMMAND`, the same as `duolog COMMAND`."""

from duolog.cli import main

main()
