"""Everything in float64, also where the code of a model converts to float32: the reference of parity tests.

To cast a model to float64 is not enough: norms, rotary angles and softmaxes run in float32 in any model, and the
reference would have the errors that it should measure.
"""

import copy
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from faithlens.execution.execute import execute
from faithlens.execution.options import Backend
from faithlens.model.model import Model
from faithlens.plan.capture import Capture, Record
from faithlens.plan.plan import Plan


class NoFloat32(TorchFunctionMode):
    """Inside this context, float32 is replaced by float64."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        func = torch.Tensor.double if func is torch.Tensor.float else func
        args = [torch.float64 if arg is torch.float32 else arg for arg in args]
        kwargs = {name: torch.float64 if arg is torch.float32 else arg for name, arg in (kwargs or {}).items()}
        return func(*args, **kwargs)


def execute_exactly(model: Model, plan: Plan, capture: Capture = Capture(), *, backend: Backend) -> list[Record]:
    """The result of `execute` with hardly any rounding."""
    with NoFloat32():
        return execute(in_float64(model), plan, capture, backend=backend)


def in_float64(model: Model) -> Model:
    """A copy of the model whose weights are float64; to run inside `NoFloat32`."""
    double = Model(model.name, copy.deepcopy(model.hf_model).double(), model.tokenizer, model.structure)
    double.hf_model.config._experts_implementation = "eager"  # the grouped product has no float64
    return double


def differences(records: list[Record], truth: list[Record]) -> tuple[float, float]:
    """Root mean square difference of option log-probabilities and of attention masses."""
    pairs = list(zip(records, truth, strict=True))
    logprobs = torch.cat([a.logprobs.double() - b.logprobs.double() for a, b in pairs])
    masses = torch.cat(
        [(a.attention[r].double() - b.attention[r].double()).flatten() for a, b in pairs for r in b.attention]
    )
    return float(logprobs.square().mean().sqrt()), float(masses.square().mean().sqrt())
