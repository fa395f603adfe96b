"""Starts the command line: `python3 -m loadtest.compare`."""

import sys

from loadtest.compare.cli import main

sys.exit(main(sys.argv[1:]))
