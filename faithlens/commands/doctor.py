"""`doctor`: does everything on which faithlens relies hold for this model, in its own precision?

No size of rounding errors is assumed. The limits follow from how far the answers of plain transformers move when
another attention implementation computes them.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from faithlens.commands.gaps import SLACK, rms
from faithlens.errors import FaithlensError, ModelError, describe_crash
from faithlens.execution.exactness import choose_check_length, measure_gap
from faithlens.execution.execute import get_backend
from faithlens.execution.forked import run_proven
from faithlens.execution.options import Backend
from faithlens.execution.plain import answer_plainly, use_other_attention
from faithlens.kernels.implementation import choose_implementation
from faithlens.model.attention_choice import has_recurrent_state
from faithlens.model.model import Model
from faithlens.model.quantised import has_matrix
from faithlens.model.trace import Piece
from faithlens.plan.capture import Capture, Record
from faithlens.plan.condition import COMPONENTS, Ablation, Condition, Knockout, Patch
from faithlens.plan.plan import compile_plan

SIZES = {"prompt": 24, "step 0": 9, "step 1": 7, "step 2": 11, "stem": 3}
LONGEST_CHECK = 8192  # tokens: a longer window or scaling length is checked by the first plan that exceeds it
CAPTURE = Capture(attention=("answer", "step 2"), logit_lens=("answer",))


@dataclass(frozen=True)
class CheckResult:
    """One thing that must hold.

    Attributes:
        name: what must hold.
        passed: whether it holds.
        measured: the number that was compared with the limit; None if there is none.
        limit: the largest (or, of effects, smallest) number that passes.
        note: in words, what was compared or what went wrong.
    """

    name: str
    passed: bool
    measured: float | None
    limit: float | None
    note: str


def run_checks(model: Model) -> list[CheckResult]:
    """Run every check on `model`. A check that cannot be run fails, with the reason."""
    conditions = make_random_conditions(model)
    checks: list[CheckResult] = []
    try:
        drift, plain = measure_drift(model, conditions)
    except Exception as error:  # noqa: BLE001  what a model raises is a finding
        return [CheckResult("the plain model runs", False, None, None, describe_crash(error))]
    checks.append(
        CheckResult("the plain model's own drift", True, drift, None, "eager against sdpa attention, nats, RMS")
    )
    chosen = choose_implementation("plain torch", torch.empty(0, device=model.device, dtype=model.hf_model.dtype))
    checks.append(CheckResult(f"kernels run in {chosen.impl}", True, None, None, chosen.reason))
    for check in (
        check_packed_lengths,
        check_separate_lengths,
        check_forked_states,
        check_parity,
        check_capture_changes_nothing,
        check_empty_edits,
        check_hidden_attention,
        check_sites,
        check_model_is_restored,
    ):
        try:
            checks += check(model, conditions, plain, SLACK * drift)
        except FaithlensError as error:
            checks.append(
                CheckResult(str(check.__doc__), False, None, None, f"{error.problem.rstrip('.')}. {error.fix}")
            )
        except Exception as error:  # noqa: BLE001  what a model raises is a finding
            note = f"this check cannot be run on {type(model.hf_model).__name__}: {describe_crash(error)}"
            checks.append(CheckResult(str(check.__doc__), False, None, None, note))
    return checks


def make_random_conditions(model: Model) -> list[Condition]:
    """A made-up trace of tokens drawn from the vocabulary, its truncations, and another one as donor."""
    rng = random.Random(0)
    vocab = model.hf_model.config.get_text_config().vocab_size

    def pieces() -> tuple[Piece, ...]:
        return tuple(Piece(name, tuple(rng.randrange(vocab) for _ in range(n))) for name, n in SIZES.items())

    own, other = pieces(), pieces()
    options = tuple((rng.randrange(vocab),) for _ in range(4))
    cuts = [Condition(f"cut@{t}", (*own[: 1 + t], own[-1]), options) for t in (3, 2, 1, 0)]
    return [*cuts, Condition("another trace", other, options)]


def measure_drift(model: Model, conditions: list[Condition]) -> tuple[float, list[Tensor]]:
    """How far plain transformers is from itself under another attention implementation (RMS), and its answers."""
    own = [answer_plainly(model, condition) for condition in conditions]
    with use_other_attention(model) as is_other:
        others = [answer_plainly(model, condition) for condition in conditions] if is_other else own
    floor = torch.finfo(model.hf_model.dtype).eps * float(torch.stack(own).abs().max())
    return max(floor, rms(others, own)), own


def run_conditions(
    model: Model, conditions: list[Condition], capture: Capture = Capture(), backend: Backend = "packed"
) -> list[Record]:
    """Compile and run, without the check at a model's first use: the doctor checks the numbers itself."""
    plan = compile_plan(
        conditions, model.structure, context_length=model.context_length, scaling_lengths=model.scaling_lengths
    )
    return get_backend(backend)(model, plan, capture)


def make_limit_check(name: str, measured: float, limit: float, note: str) -> CheckResult:
    """A check of a number that must be small."""
    return CheckResult(name, measured <= limit, measured, limit, note)


def check_lengths(model: Model, backend: Backend) -> Iterator[CheckResult]:
    """Compare a backend with plain transformers on sequences that exceed the lengths in the model's config."""
    length = choose_check_length(model, LONGEST_CHECK)
    gap, limit = measure_gap(model, backend, get_backend(backend), length)
    note = f"answers after {length} tokens, nats, largest difference"
    yield make_limit_check(f"{backend} is exact beyond windows and scaling", gap, limit, note)


def check_packed_lengths(
    model: Model, conditions: list[Condition], plain: list[Tensor], limit: float
) -> Iterator[CheckResult]:
    """packed is exact beyond windows and scaling"""
    yield from check_lengths(model, "packed")


def check_separate_lengths(
    model: Model, conditions: list[Condition], plain: list[Tensor], limit: float
) -> Iterator[CheckResult]:
    """separate is exact beyond windows and scaling"""
    yield from check_lengths(model, "separate")


def check_forked_states(
    model: Model, conditions: list[Condition], plain: list[Tensor], limit: float
) -> Iterator[CheckResult]:
    """states can be forked"""
    if not has_recurrent_state(model.hf_model):
        return
    length = choose_check_length(model, LONGEST_CHECK)
    try:
        gap, allowed = measure_gap(model, "forked", run_proven, length)
    except ModelError as error:
        gap, allowed, note = None, None, f"each condition runs by itself: {error.problem}"
    else:
        note = f"answers after {length} tokens, nats, largest difference"
        if not gap <= allowed:
            note += "; each condition runs by itself, since this is more than rounding"
    yield CheckResult("conditions run from forked states where that is exact", True, gap, allowed, note)


def check_parity(model: Model, conditions: list[Condition], plain: list[Tensor], limit: float) -> Iterator[CheckResult]:
    """packed, separate and plain agree"""
    packed = run_conditions(model, conditions, CAPTURE)
    answers = [r.logprobs for r in packed]
    yield make_limit_check("packed is plain transformers", rms(answers, plain), limit, "answers, nats, RMS")
    separate = run_conditions(model, conditions, CAPTURE, backend="separate")
    theirs = [r.logprobs for r in separate]
    yield make_limit_check("packed is separate", rms(answers, theirs), limit, "answers, nats, RMS")
    for what, field in (("attention", "attention"), ("logit lens", "logit_lens")):
        pairs = [
            (getattr(a, field)[key].flatten(), getattr(b, field)[key].flatten())
            for a, b in zip(packed, separate, strict=True)
            for key in getattr(b, field)
        ]
        gap = rms([torch.cat([a for a, _ in pairs])], [torch.cat([b for _, b in pairs])])
        yield make_limit_check(f"packed {what} is separate {what}", gap, limit, "RMS")


def check_capture_changes_nothing(
    model: Model, conditions: list[Condition], plain: list[Tensor], limit: float
) -> Iterator[CheckResult]:
    """capturing changes nothing"""
    bare = run_conditions(model, conditions)
    flow = ("answer",) if all(map(has_matrix, model.anatomy.out_proj)) else ()
    watched = run_conditions(model, conditions, replace(CAPTURE, compare=True, flow=flow))
    gap = max(float((a.logprobs - b.logprobs).abs().max()) for a, b in zip(bare, watched, strict=True))
    yield make_limit_check("capturing changes no answer", gap, 0.0, "largest difference, nats")


def check_empty_edits(
    model: Model, conditions: list[Condition], plain: list[Tensor], limit: float
) -> Iterator[CheckResult]:
    """edits that change nothing change nothing"""
    clean, middle = conditions[0], (model.n_layers // 2,)
    empty = replace(clean, name="empty edit", edits=(Knockout("answer", ((0, 0),)),))
    own = [replace(clean, name=c, edits=(Patch(c, "step 1", clean, middle),)) for c in COMPONENTS]
    first, *others = [r.logprobs for r in run_conditions(model, [clean, empty, *own])]
    yield make_limit_check("an empty edit equals clean", rms([others[0]], [first]), limit, "nats, RMS")
    for component, logprobs in zip(COMPONENTS, others[1:], strict=True):
        yield make_limit_check(f"a self-patch of {component} is a no-op", rms([logprobs], [first]), limit, "nats, RMS")


def check_hidden_attention(
    model: Model, conditions: list[Condition], plain: list[Tensor], limit: float
) -> Iterator[CheckResult]:
    """knocked-out mass is zero"""
    cut = replace(conditions[0], name="knockout", edits=(Knockout("answer", ("step 1",)),))
    record = run_conditions(model, [conditions[0], cut], CAPTURE)[1]
    number = list(cut.spans).index("step 1")
    mass = float(record.attention["answer"][..., number].abs().max())
    yield make_limit_check("knocked-out attention is zero", mass, 0.0, "largest mass left")


def check_sites(model: Model, conditions: list[Condition], plain: list[Tensor], limit: float) -> Iterator[CheckResult]:
    """every site is there and moves the answer"""
    clean = conditions[0]
    for component in COMPONENTS:
        zeroed = [
            replace(clean, name=f"{component} {layer}", edits=(Ablation(component, "stem", "zero", (layer,)),))
            for layer in range(model.n_layers)
        ]
        first, *others = [r.logprobs for r in run_conditions(model, [clean, *zeroed])]
        moved = [rms([each], [first]) for each in others]
        least = min(range(len(moved)), key=moved.__getitem__)
        note = f"least effect of zeroing it, nats, RMS: in layer {least}"
        yield CheckResult(f"{component} moves the answer", moved[least] > limit, moved[least], limit, note)


def check_model_is_restored(
    model: Model, conditions: list[Condition], plain: list[Tensor], limit: float
) -> Iterator[CheckResult]:
    """the model is left as it was after an exception"""
    before, state = answer_plainly(model, conditions[0]), list_hooks(model)
    edit = Patch("z", "step 1", conditions[-1], (0,))
    block = model.anatomy.blocks[-1]
    handle = block.register_forward_pre_hook(interrupt_pass)
    try:
        run_conditions(model, [replace(conditions[0], edits=(edit,))])
    except InterruptedPassError:
        pass
    finally:
        handle.remove()
    after = answer_plainly(model, conditions[0])
    same = list_hooks(model) == state and torch.equal(before, after)
    yield CheckResult("hooks are gone after an exception", same, None, None, "hooks, attention and answers as before")


class InterruptedPassError(Exception):
    """Raised on purpose, in the middle of a pass."""


def interrupt_pass(*_: object) -> None:
    """A hook that ends a pass with an exception."""
    raise InterruptedPassError


def list_hooks(model: Model) -> tuple[object, ...]:
    """The parts of a model that a packed pass changes."""
    hooks = [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.hf_model.modules()]
    replaced = [name for name, module in model.hf_model.named_modules() if "forward" in module.__dict__]
    return model.hf_model.config._attn_implementation, hooks, replaced
