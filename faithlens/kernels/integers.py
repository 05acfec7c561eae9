"""Copy arrays of integers to a device in one transfer.

For example, the int64 array (7) and the int32 array (1, 2, 3) need a buffer of 8 numbers of 32 bits, "7 0 . . 1 2 3 .",
since every array begins at a multiple of 16 bytes.
"""

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor

ALIGNED = 4  # numbers of 32 bits to whose multiple arrays are padded: 16 bytes, which kernels load at once

Name = TypeVar("Name")


def copy_integers(arrays: Mapping[Name, ndarray], device: torch.device) -> dict[Name, Tensor]:
    """Arrays of int32 or int64, with their names and shapes, as views of one int32 buffer on `device`."""
    sizes = [array.nbytes // 4 for array in arrays.values()]
    starts = np.append(0, np.cumsum([-(-size // ALIGNED) * ALIGNED for size in sizes], dtype=np.int64))
    buffer = np.zeros(int(starts[-1]), np.int32)
    for array, start, size in zip(arrays.values(), starts, sizes, strict=False):
        buffer[start : start + size] = np.ascontiguousarray(array).reshape(-1).view(np.int32)
    whole = torch.from_numpy(buffer)
    whole = whole.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else whole.to(device)
    out = {}
    for (name, array), start, size in zip(arrays.items(), starts.tolist(), sizes, strict=False):
        part = whole[start : start + size]
        out[name] = (part.view(torch.int64) if array.dtype == np.int64 else part).view(array.shape)
    return out
