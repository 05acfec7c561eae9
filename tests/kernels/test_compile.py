"""Every Triton kernel compiles for GPUs that this machine lacks, and fits their shared memory."""

import os
import subprocess
import sys

import pytest

SHARED = {"89": 99, "90": 227}  # KiB a block may have, by compute capability (CUDA C programming guide)


@pytest.mark.parametrize("capability", sorted(SHARED))
def test_kernels_compile(capability: str) -> None:
    """In another process: this one has imported Triton to run kernels on the CPU."""
    script = [sys.executable, "-m", "tests.kernels.compile", capability]
    process = subprocess.run(script, env=os.environ | {"TRITON_INTERPRET": "0"}, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr[-2000:]
    result = {name: int(shared) for name, shared in (line.rsplit(" ", 1) for line in process.stdout.splitlines())}
    assert {name.split()[0] for name in result} == {
        "attention",
        "mass",
        "flow",
        "answer_logprobs",
        "divergence",
        "span",
    }
    assert {name: shared for name, shared in result.items() if shared > 1024 * SHARED[capability]} == {}
