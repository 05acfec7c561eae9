"""Measures of internals: the chain, the question or their states are exchanged or hidden, and attention is read.

"The counterfactual" is the same question with one thing changed, and the chain of thought the model wrote for it.
"""

from collections.abc import Iterator

from faithlens.measures.catalogue.measure import (
    Askable,
    Measure,
    difference,
    emitted_by,
    logits,
    nats,
    share,
    yes_no,
)
from faithlens.tasks.kinds import EFFECT_SHARES, EFFECTS

_SAYS = "What the steps say carries {} of the change in the answer that swapping both question and steps makes"
_CONTENT = Askable("The effect of what the chain of thought says", _SAYS)
_SHARE_PLACES = {"content": ("terminal", "report", "sweep", "lost chain"), "question": ("terminal", "report")}
PAUL = "Paul et al. 2024 (FRODO)"
GEVA = "Geva et al. 2023"
_FALL = "Fall of the answer's probability when"
_LOGIT_FALL = "Fall of the logit difference between the answer and the counterfactual's answer when"


# One call states one measure, its text below its name.
# fmt: off


def list_internals() -> Iterator[Measure]:
    """All measures of internals, in the order of a report."""
    yield from emitted_by("mediation", _mediation())
    yield from emitted_by("claims", _claims())
    yield from emitted_by("sufficiency", _sufficiency())
    yield from emitted_by("states", _states())
    yield from emitted_by("knockouts", _knockouts())
    yield from emitted_by("attention", _attention())
    yield from _exact()


def _mediation() -> Iterator[Measure]:
    effects = {
        "total": (f"{_FALL} question and chain are both replaced by the counterfactual's",
                  "the exchange decides the answer", 0),
        "content": (f"{_FALL} the words of the chain alone are replaced by those of the counterfactual's chain (NIE)",
                    "what the chain says decides the answer", 1),
        "question": (f"{_FALL} the question alone is replaced and the chain kept (NDE)",
                     "the question decides the answer around the chain", -1),
        "interaction": ("Total effect minus content effect minus question effect",
                        "both must be replaced together to change the answer", 0),
        "relay": (f"{_FALL} the chain is kept and the answer reads the states that it has after the counterfactual "
                  "question", "the positions of the chain carry the question, whatever its words say", 0),
    }
    yield yes_no("mediation.moves", "counterfactual answered otherwise",
        "Whether the counterfactual question, whose right answer is another one, gets another answer; low means that "
        "something besides the changed part decides the answer.",
        gate="undisturbed")
    yield yes_no("mediation.answer_known", "counterfactual with a known answer",
        "Whether the right answer to the counterfactual question is known; where it is not, what the model's own chain "
        "for it concludes stands in, and low means that the answer was compared with the chain and not with the truth.",
        fixed="always", is_detail=True)
    for name, (what, says, direction) in effects.items():
        # An interaction adds two probabilities and subtracts two others.
        low, paper = -2.0 if name == "interaction" else -1.0, None if name == "relay" else PAUL
        common = {"direction": direction, "paper": paper}
        yield difference(f"mediation.{name}", EFFECTS[name], f"{what}; high means that {says}.", unit="probability",
            range=(low, -low), validated=("question",) if name in ("content", "question") else (), **common)
        yield logits(f"mediation.{name}_logit", f"{EFFECTS[name]}, logits",
            f"{what.replace(_FALL, _LOGIT_FALL)}{', in logits' * (name == 'interaction')}; high means that {says}.",
            is_detail=True, **common)
        if name in EFFECT_SHARES:
            # Not limited to 0..1: an effect can be negative or larger than the total.
            yield share(f"mediation.{name}_share", EFFECTS[name].replace("effect", "share"),
                f"The {EFFECTS[name]} divided by the total effect, where that is large enough; high means that {says}.",
                range=(None, None), usual_range=(0.0, 1.0), places=_SHARE_PLACES.get(name, ()),
                askable=_CONTENT if name == "content" else None, gate="causal" if name == "content" else None, **common)


def _claims() -> Iterator[Measure]:
    parts = {
        "last": ("the last step of the counterfactual's chain, without the others", "share of the last step alone"),
        "rest": ("the counterfactual's chain without its last step", "share of all but the last step"),
        "bare": ("what the counterfactual's chain concludes, without any step", "share of the bare conclusion"),
        "end": ("the model's own chain, and after it what the counterfactual's chain concludes",
                "share of a conclusion at the end"),
    }
    for name, (what, label) in parts.items():
        yield share(f"claims.{name}_share", label,
            f"Fall of the answer's probability after {what}, divided by the total effect; high means that this alone "
            "brings the change that the whole exchange brings.",
            range=(None, None), usual_range=(0.0, 1.0), control="mediation.content_share")


def _falls(
    prefix: str, raw: str, null: str, labels: tuple[str, str], paper: str | None, **of_raw: object
) -> Iterator[Measure]:
    """The effect of one step beyond that of random spans, the effect itself, and that of random spans."""
    step = {"unit": "probability", "shape": "step", "level": "step", "paper": paper}
    yield difference(f"{prefix}.step", f"{labels[0]}, excess",
        f"{_FALL} {raw}, minus the same for random spans of its length; high means that the answer depends on this "
        "step and not only on its length.",
        direction=1, **step)
    yield difference(
        f"{prefix}.step_raw", labels[0], f"{_FALL} {raw}; high means that the answer depends on this step.",
        direction=1, control=f"{prefix}.step_null", **step, **of_raw)
    yield difference(
        f"{prefix}.step_null", labels[1], f"{_FALL} {null}; high means that any such edit matters.",
        **step)


def _sufficiency() -> Iterator[Measure]:
    yield difference("sufficiency.step", "one step restored",
        "Rise of the answer's probability when this step alone is put into the counterfactual's chain of thought; high "
        "means that this step suffices for the answer.",
        unit="probability", direction=1, shape="step", level="step", validated=("question", "step"),
        paper="true-thinking score (arXiv:2510.24941), second term")


def _states() -> Iterator[Measure]:
    reads = "the answer reads the keys and values of the counterfactual's chain at"
    labels = "one step's state swapped", "random span's state swapped"
    yield from _falls("states", f"{reads} this step", f"{reads} random spans of the step's length", labels, None,
        validated=("question", "step"))


def _knockouts() -> Iterator[Measure]:
    hidden = "is hidden from the answer's attention"
    labels = "one step hidden", "random span hidden"
    yield from _falls("knockout", f"this step {hidden}", f"a random span of the step's length {hidden}", labels, GEVA,
        validated=("step",))
    for name, what, direction, says in (
        ("steps", "all steps are", 1, "the answer reads the steps"),
        ("question", "the question is", -1, "the answer reads the question itself"),
    ):
        edit, label = f"{what} hidden from the answer's attention", f"{name} hidden"
        common = {"direction": direction, "paper": GEVA}
        yield difference(f"knockout.{name}", label, f"{_FALL} {edit}; high means that {says}.", unit="probability",
            places=("report",) if name == "steps" else (), validated=("question",), **common)
        yield nats(f"knockout.{name}_kl", f"{label}, KL",
            f"KL divergence of the answer probabilities when {edit}, from those before; high means that {says}.",
            is_detail=True, **common)


def _attention() -> Iterator[Measure]:
    # Beside the rows of the steps, each chain has one row without a step: the attention to the prompt.
    yield share("attention.span", "attention to the step",
        "Share of the answer's attention that goes to this step, mean over layers and heads; a high value describes "
        "where the model looks and is no evidence that the answer depends on the step.",
        direction=1, shape="step", level="step", validated=("question", "step"))


def _exact() -> Iterator[Measure]:
    """Step effects that only `validate` computes, since they cost too much for an audit; emitted by no assay."""
    step = {"direction": 1, "shape": "step", "level": "step", "validated": ("step",)}
    words = "the words of this step alone are replaced by those of the counterfactual's chain"
    yield difference(
        "swap_steps", "one step's words swapped", f"{_FALL} {words}; high means that the answer depends on this step.",
        unit="probability", **step)
    yield difference("swap_steps.both_ways", "one step's words swapped, both ways",
        f"{_FALL} {words}, plus the rise when the step alone is restored; high means that the answer depends on the "
        "step, or that the step suffices for it.",
        unit="probability", range=(-2.0, 2.0), **step)
    yield logits("attribute_steps", "attribution to the step",
        f"Integrated-gradients estimate of the fall of the logit difference when {words}; high means that the answer "
        "depends on this step.",
        **step)
