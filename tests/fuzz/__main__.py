"""A long run of the fuzz tests: ``python -m tests.fuzz --examples 20000 [-k values]``, with the number of examples."""

import argparse
import os
import sys
import time
from pathlib import Path

import pytest

from tests.fuzz.runner import COUNTS, VARIABLE


def main() -> int:
    """Run every fuzz test with the number of examples given, and print how many each test tried."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--examples", type=int, required=True, help="examples of each test")
    parser.add_argument("-k", default="", help="only tests whose names match, as pytest's -k")
    options = parser.parse_args()
    os.environ[VARIABLE] = str(options.examples)
    started = time.monotonic()
    # without xdist, so that the counts are those of this process, and without beartype, as users run faithlens
    rc = pytest.main([str(Path(__file__).parent), "-q", "-k", options.k, "-o", "addopts=--import-mode=importlib"])
    for name, count in sorted(COUNTS.items()):
        sys.stdout.write(f"{count:8,d}  {name.removeprefix('test_').replace('_', ' ')}\n")
    sys.stdout.write(f"{COUNTS.total():8,d}  in {time.monotonic() - started:.0f} s\n")
    return int(rc)


if __name__ == "__main__":
    sys.exit(main())
