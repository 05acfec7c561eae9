"""Several devices simulated on one CPU: each tensor has a device, and no operation may mix devices.

A model that accelerate splits needs each tensor moved to the device of the others before an operation. This can be
tested without a second device: all tensors of an operation must have the same simulated device.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_iter, tree_map_only
from torch.utils.weak import WeakTensorKeyDictionary

CPU = torch.device("cpu")
MOVES = {Tensor.to, Tensor.cpu, Tensor.cuda}


class Devices(TorchFunctionMode):
    """Inside this context tensors have simulated devices, and an operation on several devices raises an error."""

    def __init__(self) -> None:
        super().__init__()
        self.where: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
        self.met: set[torch.device] = set()

    def put(self, module: nn.Module, device: torch.device) -> None:
        """Put the weights of a module on `device`."""
        for tensor in (*module.parameters(), *module.buffers()):
            self.where[tensor] = device

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func == Tensor.device.__get__:  # a new object at each access
            return self.where.get(args[0], CPU)
        target = kwargs.pop("device", None)
        if func in MOVES:
            named = [arg for arg in args[1:] if isinstance(arg, str | torch.device)]
            target = CPU if func is Tensor.cpu else (named or [target])[0]
            args = (args[0], *(arg for arg in args[1:] if not isinstance(arg, str | torch.device)))
            if target is not None and torch.device(target) != self.where.get(args[0], CPU):
                args = (args[0].clone(), *args[1:])  # another device's memory
            out = args[0] if len(args) == 1 and not kwargs else Tensor.to(*args, **kwargs)
        else:
            result = {self.where.get(x, CPU) for x in tree_iter((args, kwargs)) if isinstance(x, Tensor) and x.ndim}
            assert len(result) <= 1, f"{func} of tensors on {result}"
            self.met |= result
            out = func(*args, **kwargs)
        sources = [self.where[x] for x in tree_iter((args, kwargs)) if isinstance(x, Tensor) and x in self.where]
        place = torch.device(target) if target is not None else (sources or [CPU])[0]
        return tree_map_only(Tensor, lambda x: self._mark(x, place), out)

    def _mark(self, x: Tensor, place: torch.device) -> Tensor:
        self.where[x] = place
        return x
