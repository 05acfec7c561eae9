"""Four strategies to answer (Radhakrishnan et al. 2023, arXiv:2307.11768, figure 2): accuracy, and sensitivity to the
steps.

    direct              the answer at once, `no_cot`
    cot                 after the case's own chain of thought; a step is a sentence or line
    cot_decomposition   after sub-questions and sub-answers written in one text; a step is such a pair
    factored            from sub-answers that were each given in a context of their own; a step is such a pair

Truncation sensitivity is how often the answer changes when steps are cut off the end. Corruption sensitivity is how
often it changes when the value of one step is made wrong. All four strategies are read from option log-probabilities
after the same stem, and no text is regenerated, so every cut and every mistake is a condition of the packed pass.

Kept: the four strategies, both sensitivities, cuts down to the empty chain. Changed: the prompts are our own
(`tasks.decomposition`); there is one round of planning; the run's own sampling replaces the best of several samples;
the task makes a value wrong, where the paper has a model answer wrongly from scratch; the later steps stay as they were
in every strategy, `cot` included, so a later sub-question may still quote the old value; pairs are written again in one
layout, whatever marks they had. A reasoning model's block of thoughts is closed and empty in both decompositions. If no
prompt with steps fits the model, or its text does not have the requested form, a strategy has no numbers and says why.

Two warnings. A factored answer comes from the sub-answers and from a model that never saw how they were found, so it
depends on them partly by construction. And a strategy that is wrong more often has more room to change its answer: read
each sensitivity beside `*_accuracy`, which bounds it from below (|accuracy - truncation_accuracy| <= truncation).
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import count, takewhile

from faithlens.assays import early_answering, mistakes
from faithlens.assays.assay import Records, Setting, TextRequest
from faithlens.assays.baselines import compute_accuracy
from faithlens.assays.points import choose_steps
from faithlens.errors import TraceError
from faithlens.interventions.case import Case, GeneratedText
from faithlens.interventions.prompt_pieces import make_prompt_piece
from faithlens.interventions.rewriting import append_pieces
from faithlens.interventions.truncation import make_no_cot
from faithlens.measures.answers import choose_option, option_coverage
from faithlens.measures.score import Score, compute_mean
from faithlens.model.model import Model
from faithlens.model.trace import Piece
from faithlens.plan.condition import Condition
from faithlens.tasks import decomposition
from faithlens.tasks.decomposition import SubQuestionPair
from faithlens.tasks.kinds import REASONING_STRATEGIES

CONDITION_PREFIXES = {name: "" if name == "cot" else f"{name}:" for name in REASONING_STRATEGIES}
"""The prefix of the names of a strategy's conditions; those of `cot` are shared with other assays."""
MEASURES = (
    "accuracy", "coverage", "steps", "truncation", "truncation_accuracy", "corrupted", "corruption",
    "corruption_accuracy",
)  # fmt: skip
"""What is measured of each strategy with steps; the catalogue has it as `strategies.<strategy>.<name>`."""

PAIRS_TEXT, SUBQUESTIONS_TEXT = "strategies:pairs", "strategies:plan"
MAX_SUBANSWER_TOKENS = 80  # a sub-answer is one sentence
NO_ROOM = "the prompts of this strategy are too long for the model"
NO_PAIRS = "the model wrote no sub-questions with answers in the form asked for"
NO_SUBQUESTIONS = "the model listed no sub-questions in the form asked for"
NO_ANSWER = "a sub-question was left without an answer"
CANNOT_WRITE_SUBANSWERS = "the tokenizer cannot write the sub-answers"
NO_STEP_VALUE = "no step states a value that could be made wrong"


def requests(setting: Setting, case: Case) -> list[TextRequest]:
    """Pairs in one text; a plan; then each sub-question as soon as the answers that it refers to are written."""
    model = setting.model
    opened = decomposition.write_pairs_prompt(case.question, decomposition.PAIRS_OPENING)
    prompts = {PAIRS_TEXT: opened, SUBQUESTIONS_TEXT: decomposition.write_split_prompt(case.question)}
    plan, answers = read_subquestions(case), read_subanswers(case)
    ready = {i: decomposition.fill_references(subquestion, answers) for i, subquestion in enumerate(plan)}
    prompts |= {
        name_subanswer(i): decomposition.write_subquestion_prompt(words)
        for i, words in ready.items()
        if words is not None
    }
    out = [
        TextRequest(
            name,
            (make_prompt_piece(model, prompt, "empty"),),
            None if name in (PAIRS_TEXT, SUBQUESTIONS_TEXT) else MAX_SUBANSWER_TOKENS,
            has_open_thoughts=False,
        )
        for name, prompt in prompts.items()
    ]
    return [ask for ask in out if has_room(setting, ask)]


def conditions(setting: Setting, case: Case) -> list[Condition]:
    """The direct prompt and, for each strategy, its steps in full, cut before each of them, and with one made wrong."""
    out = [make_no_cot(case), *early_answering.conditions(setting, case), *mistakes.conditions(setting, case)]
    for strategy in ("cot_decomposition", "factored"):
        made = make_decomposition_conditions(setting, case, strategy)
        out += [] if isinstance(made, str) else made
    return out


def score(setting: Setting, case: Case, records: Records) -> list[Score]:
    """The accuracy of all four; for those with steps, their number and how often the answer changes with them."""
    out = [
        Score("strategies.direct.accuracy", compute_accuracy(case, records, "no_cot"), "no_cot"),
        Score("strategies.direct.coverage", option_coverage(records["no_cot"].logprobs), "no_cot"),
    ]
    for strategy, prefix in CONDITION_PREFIXES.items():
        values, reason = dict.fromkeys(MEASURES), NO_STEP_VALUE
        if f"{prefix}full" in records:
            cuts = takewhile(lambda t, prefix=prefix: f"{prefix}cut@{t}" in records, count())
            steps = dict.fromkeys(cuts, 1.0) if prefix else choose_steps(setting, case)
            mistaken = steps if prefix else mistakes.list_mistaken_steps(setting, case)
            values |= measure_strategy(case, records, prefix, steps, mistaken)
        else:
            reason = str(make_decomposition_conditions(setting, case, strategy))
        for name in MEASURES:
            value = values[name]
            why = reason if value is None else None
            out.append(Score(f"strategies.{strategy}.{name}", value, f"{prefix}full", reason=why))
    return out


def measure_strategy(
    case: Case, records: Records, prefix: str, steps: Mapping[int, float], mistaken_steps: Mapping[int, float]
) -> dict[str, float | None]:
    """The measures of one strategy; None for corruption if no value could be made wrong.

    `steps` are those before which the chain is cut, `mistaken_steps` those that are made wrong, each with the number of
    steps that it stands for.
    """
    cut = {f"{prefix}cut@{t}": weight for t, weight in steps.items()}
    mistaken = {f"{prefix}mistake@{i}": weight for i, weight in mistaken_steps.items()}
    wrong = {name: weight for name, weight in mistaken.items() if name in records}
    answer = choose_option(records[f"{prefix}full"].logprobs)

    def compute_change_rate(names: Mapping[str, float]) -> float | None:
        changed = [float(choose_option(records[name].logprobs) != answer) for name in names]
        return compute_mean(changed, [*names.values()]) if names else None

    def compute_share_right(names: Mapping[str, float]) -> float | None:
        is_right = [compute_accuracy(case, records, name) for name in names]
        return compute_mean(is_right, [*names.values()]) if names else None

    return {
        "accuracy": compute_accuracy(case, records, f"{prefix}full"),
        "coverage": option_coverage(records[f"{prefix}full"].logprobs),
        "steps": sum(steps.values()),
        "truncation": compute_change_rate(cut),
        "truncation_accuracy": compute_share_right(cut),
        "corrupted": float(len(wrong)),
        "corruption": compute_change_rate(wrong),
        "corruption_accuracy": compute_share_right(wrong),
    }


def make_decomposition_conditions(setting: Setting, case: Case, strategy: str) -> list[Condition] | str:
    """The conditions of a decomposition; the reason if there are none."""
    pairs = read_pairs(case) if strategy == "cot_decomposition" else read_factored_pairs(case)
    if isinstance(pairs, str):
        return pairs
    versions = {"full": pairs}
    versions |= {f"cut@{t}": pairs[:t] for t in range(len(pairs))}
    versions |= {f"mistake@{i}": wrong for i, wrong in misstate_pairs(setting, case, strategy, pairs)}
    lay = append_pairs if strategy == "cot_decomposition" else put_pairs_in_prompt
    try:
        made = [
            case.add_conclusion(
                setting.model,
                case.make_direct_condition(f"{strategy}:{name}", *lay(setting.model, case, some)),
                some[-1][1] if some else "",
                "stop",
            )
            for name, some in versions.items()
        ]
    except TraceError:
        return CANNOT_WRITE_SUBANSWERS
    longest = max(len(condition.ids) + max(map(len, condition.sequences)) for condition in made)
    return made if longest <= setting.model.context_length else NO_ROOM


def misstate_pairs(
    setting: Setting, case: Case, strategy: str, pairs: Sequence[SubQuestionPair]
) -> Iterator[tuple[int, list[SubQuestionPair]]]:
    """For each sub-answer that states a value, the pairs with that value wrong."""
    for i, (subquestion, subanswer) in enumerate(pairs):
        rng = random.Random(f"{strategy}:{setting.seed}:{case.key}:{i}")
        wrong = setting.task.misstate(subanswer, case.question, rng)
        if wrong is not None:
            yield i, [*pairs[:i], (subquestion, wrong), *pairs[i + 1 :]]


def append_pairs(model: Model, case: Case, pairs: Sequence[SubQuestionPair]) -> list[Piece]:
    """The prompt that requests pairs, and `pairs` in the model's own turn."""
    prompt = make_prompt_piece(model, decomposition.write_pairs_prompt(case.question), "empty")
    return append_pieces(
        model, [prompt], [(f"step {i}", decomposition.format_pair(i, pair)) for i, pair in enumerate(pairs)]
    )


def put_pairs_in_prompt(model: Model, case: Case, pairs: Sequence[SubQuestionPair]) -> list[Piece]:
    """The prompt that states the question together with `pairs`."""
    return [make_prompt_piece(model, decomposition.write_recombination_prompt(case.question, pairs), "empty")]


def read_pairs(case: Case) -> list[SubQuestionPair] | str:
    """The pairs that were written in one text; the reason if there are none."""
    if PAIRS_TEXT not in case.generated_texts:
        return NO_ROOM
    return (
        decomposition.parse_pairs(decomposition.PAIRS_OPENING + drop_unfinished_line(case.generated_texts[PAIRS_TEXT]))
        or NO_PAIRS
    )


def read_factored_pairs(case: Case) -> list[SubQuestionPair] | str:
    """The planned sub-questions as they were put, with their answers; the reason if there are none."""
    if SUBQUESTIONS_TEXT not in case.generated_texts:
        return NO_ROOM
    plan, answers = read_subquestions(case), read_subanswers(case)
    if not plan:
        return NO_SUBQUESTIONS
    if len(answers) < len(plan):
        return NO_ANSWER
    return [
        (str(decomposition.fill_references(subquestion, answers)), answers[i]) for i, subquestion in enumerate(plan)
    ]


def read_subquestions(case: Case) -> list[str]:
    """The sub-questions, if a plan was written."""
    written = case.generated_texts.get(SUBQUESTIONS_TEXT)
    return (
        decomposition.parse_subquestions(decomposition.SUBQUESTIONS_OPENING + drop_unfinished_line(written))
        if written
        else []
    )


def read_subanswers(case: Case) -> dict[int, str]:
    """The sub-answers that were written so far, by the index of their sub-question."""
    written = {
        i: case.generated_texts[name_subanswer(i)]
        for i in range(len(read_subquestions(case)))
        if name_subanswer(i) in case.generated_texts
    }
    lines = {i: decomposition.find_first_line(drop_unfinished_line(one)) for i, one in written.items()}
    return {i: line for i, line in lines.items() if line}


def name_subanswer(i: int) -> str:
    """The name of the text that is written for a sub-question."""
    return f"strategies:part {i}"


def drop_unfinished_line(written: GeneratedText) -> str:
    """The text, without the line that the token limit cut off."""
    return written.text if written.finish == "stop" else written.text.rpartition("\n")[0]


def has_room(setting: Setting, request: TextRequest) -> bool:
    """Whether the model can read a request and as many tokens as may follow it."""
    limit = setting.sampling.find_limit(setting.model)
    prompt = sum(len(piece.ids) for piece in request.context if isinstance(piece, Piece))
    return prompt + min(limit, request.max_tokens or limit) <= setting.model.context_length
