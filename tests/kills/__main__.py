"""Kill audits and resumes at random moments: ``python -m tests.kills --runs 20 --seed 0``."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.kills.runner import find_kill_faults


def main() -> int:
    """Print one line a run, and end with 1 if any ended otherwise than an undisturbed one."""
    parser = argparse.ArgumentParser(prog="python -m tests.kills", description=__doc__)
    parser.add_argument("--runs", type=int, required=True, help="runs, each of which is killed twice")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments")
    options = parser.parse_args()
    faults = 0
    with tempfile.TemporaryDirectory() as folder:
        for killed, done, fault in find_kill_faults(options.runs, options.seed, Path(folder)):
            faults += fault is not None
            sys.stdout.write(f"killed {killed} times, {done} batches done: {fault or 'the same bytes'}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{options.runs} runs, {faults} faults\n")
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
