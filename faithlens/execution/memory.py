"""Recognise errors that say that memory ran out, and give back memory that is no longer used."""

import ctypes
import gc
import sys

import torch

from faithlens.model.model import Model


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on a GPU or not."""
    words = str(error).lower()
    is_cpu = "can't allocate memory" in words or "not enough memory" in words
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or is_cpu


def is_short_of_memory(error: BaseException) -> bool:
    """Whether an error, or one that it was raised from, says that memory ran out."""
    cause: BaseException | None = error
    while cause is not None:
        if is_out_of_memory(cause):
            return True
        cause = cause.__cause__
    return False


def free_memory(model: Model) -> None:
    """Give back the memory that is no longer used, on the host and on the device of `model`."""
    gc.collect()
    trim_heap()
    if model.device.type == "cuda":
        torch.cuda.empty_cache()


def trim_heap() -> None:
    """Give free pages of the C heap back to the system, so that the memory that a process holds is the memory it uses.

    glibc keeps what was freed for the next allocation: some hundreds of MB after a pass over a long chain.
    """
    if sys.platform == "linux":
        library = ctypes.CDLL(None)
        if hasattr(library, "malloc_trim"):  # musl has none, and gives pages back by itself
            library.malloc_trim(0)
