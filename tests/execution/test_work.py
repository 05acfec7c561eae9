"""What a plan took, and how much memory: predicted and measured."""

import ctypes
import sys
from mmap import mmap

import pytest
import torch

from faithlens.execution.execute import execute
from faithlens.execution.work import PeakMemory, execute_with_work, read_status
from faithlens.model.trace import Piece
from faithlens.plan.condition import Condition
from faithlens.plan.memory import plan_passes
from tests.conftest import tiny

CLEAN = Condition("clean", (Piece("prompt", tuple(range(10, 40))), Piece("stem", (1, 2))), ((7,), (8,)))
CUT = Condition("cut", (Piece("prompt", tuple(range(10, 30))), Piece("stem", (1, 2))), ((7,), (8,)))


def test_the_most_memory_is_measured_even_if_it_was_given_back() -> None:
    # from the kernel: an allocator may hold as much that is free, and then the process needs no more
    with PeakMemory(torch.device("cpu")) as memory, mmap(-1, 256 * 2**20) as held:
        held.write(b"1" * len(held))
    assert memory.peak_bytes - memory.before_bytes > 200 * 2**20
    with PeakMemory(torch.device("cpu")) as later:
        pass
    assert later.peak_bytes <= memory.peak_bytes


@pytest.mark.skipif(sys.platform != "linux", reason="the heap of glibc")
def test_memory_that_was_freed_before_does_not_count_as_in_use() -> None:
    # A pass takes pages that are free in the heap without one more page from the system, so a prediction that counts
    # them once as held and once as needed is too high.
    n, size, library = 1000, 2**16, ctypes.CDLL(None)
    library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    library.free.argtypes = [ctypes.c_void_p]
    blocks = [library.malloc(size) for _ in range(n)]
    for block in blocks:
        ctypes.memset(block, 1, size)
    walls = blocks[::8]  # between the others, so that the heap cannot shrink by itself
    for block in set(blocks) - set(walls):
        library.free(block)
    resident = read_status("VmRSS")
    with PeakMemory(torch.device("cpu")) as memory:
        pass
    for block in walls:
        library.free(block)
    assert resident - memory.before_bytes > n * size // 2


def test_work_is_that_of_the_plan_and_its_peak_is_predicted() -> None:
    model = tiny("llama")
    plan = plan_passes(model, [CLEAN, CUT])
    execute(model, plan)  # the first use loads code, which takes memory too
    records, work = execute_with_work(model, plan)
    assert [record.condition.name for record in records] == ["clean", "cut"]
    assert (work.passes, work.rows) == (1, 32 + 2)
    assert work.forwards == 34 / 32
    assert 0 < work.plan_seconds == plan.seconds
    assert abs(work.peak_bytes / work.measured_bytes - 1) < 0.2
