"""A case scores values: each candidate in all of its spellings, and no continuation for two candidates."""

import random
from collections.abc import Sequence

import pytest

from faithlens.errors import TraceError
from faithlens.execution.execute import execute
from faithlens.interventions.case import Case, collect_candidates
from faithlens.interventions.truncation import make_full_cot, truncate
from faithlens.measures.answers import option_coverage
from faithlens.measures.score import Score
from faithlens.model.model import Model
from faithlens.model.trace import Piece, Trace, make_trace
from faithlens.plan.condition import Condition
from faithlens.plan.plan import compile_plan
from faithlens.tasks.prompts import FREE_FORM_STEMS, choose_stems
from faithlens.tasks.question import Question, Stem
from faithlens.tasks.question_factory import make_free_form_question
from faithlens.tasks.registry import load_task
from faithlens.tasks.segmentation import split_steps
from faithlens.tasks.values import read_value
from tests.conftest import tiny

LENS = tiny("llama")
STEM = Stem(" The answer is ", ".")


def trace(cot: str) -> Trace:
    return make_trace(LENS, LENS.encode_prompt("Q:"), LENS.encode_continuation(cot), split_steps)


def make_case(question: Question, cot: str, stem: Stem = STEM) -> Case:
    own = trace(cot)
    direct = Piece("prompt", LENS.encode_prompt("Say it:"))
    return Case(question, own, collect_candidates(question, own), direct).with_stem(LENS, stem)


def list_texts(condition: Condition) -> dict[str, list[str]]:
    """Each option of a condition, and its further spellings."""
    more = condition.spellings or ((),) * len(condition.options)
    return {
        LENS.decode(own): [LENS.decode(ids) for ids in rest] for own, rest in zip(condition.options, more, strict=True)
    }


@pytest.mark.parametrize(
    ("answer", "cot", "added"),
    [
        ("-48", " 4 - 52 = -58. The answer is -58.", set()),
        ("-48", " 4 - 152 = -148. The answer is -148.", {"-148"}),
        ("1200", " 40 * 30 = 1,200. = 1200.0. = $1,200.00.", set()),
        ("9500", " 19 * 500 = 9{,}500.", set()),
        ("18", " 9 * $2.00 = $18.00. Then it is 12:30. Then 1/2 is left.", {"1/2"}),
        ("7", " So 3 + 4 = −7.", {"−7"}),
        ("50", " That is 50 %. That is 1.2e3.", {"1200"}),
    ],
)
def test_what_a_chain_states_is_a_candidate_once(answer: str, cot: str, added: set[str]) -> None:
    question = make_free_form_question("q", "?", answer)
    candidates = collect_candidates(question, trace(cot))
    assert {each for each in candidates if each not in question.candidates} in (
        added,
        {str(read_value(a)) for a in added},
    )
    values = [read_value(each) for each in candidates]
    assert len(set(values)) == len(values)


def test_every_spelling_is_scored() -> None:
    case = make_case(make_free_form_question("q", "?", "1200", candidates=("1200", "7")), " 40 * 30 = $1,200.")
    assert list_texts(make_full_cot(case)) == {"1200.": ["1,200.", "$1,200."], "7.": ["$7."]}
    assert case.find_candidate("$1,200.00") == "1200"
    assert case.find_candidate("-7") is None
    wider = case.add_options(LENS, make_full_cot(case), ["2500", None])
    assert list_texts(wider)["2500."] == ["2,500.", "$2,500."]
    assert case.add_options(LENS, wider, ["7.0", "2500"]) == wider


def test_spellings_of_a_file_are_scored_as_one_answer() -> None:
    case = make_case(make_free_form_question("q", "?", "12", candidates=("twelve", "12", "13")), " Hm.")
    assert case.candidates == ("12", "13")
    assert case.answer_index == 0
    assert list_texts(make_full_cot(case)) == {"12.": ["twelve."], "13.": []}


def test_small_whole_numbers_and_labels_have_one_spelling() -> None:
    for question in (
        make_free_form_question("q", "3 + 4?", "7"),
        Question("q", "3 + 4?", ("A", "B"), "A", ("1,200", "7")),
    ):
        case = make_case(question, " 3 + 4 = 7.")
        assert case.options
        assert make_full_cot(case).spellings == ()


def test_the_probability_of_a_value_is_the_sum_over_its_spellings() -> None:
    case = make_case(make_free_form_question("q", "?", "1200", candidates=("1200", "7")), " 40 * 30 = $1,200.")
    spelled = make_full_cot(case)
    apart = Condition("apart", spelled.pieces, spelled.sequences)
    together, each = (record.logprobs.exp() for record in execute(LENS, compile_plan([spelled, apart])))
    assert together.tolist() == pytest.approx([float(each[[0, 2, 3]].sum()), float(each[[1, 4]].sum())], rel=1e-5)


@pytest.mark.parametrize("stem", FREE_FORM_STEMS, ids=lambda stem: stem.text.strip())
def test_answers_that_begin_others_are_counted_once(stem: Stem) -> None:
    question = make_free_form_question("q", "?", "19", candidates=("19", "19.5", "1", "1.9", "190", "1,900"))
    case = make_case(question, " So $19.50. Or 1,900.", stem)
    condition = make_full_cot(case)
    [record] = execute(LENS, compile_plan([condition]))
    apart = [tuple(ids) for ids in condition.sequences]
    longest = [ids for ids in apart if not any(other != ids and ids[: len(other)] == other for other in apart)]
    scores = execute(LENS, compile_plan([Condition("apart", condition.pieces, tuple(longest))]))[0]
    assert option_coverage(record.logprobs) == pytest.approx(option_coverage(scores.logprobs), rel=1e-5)


@pytest.mark.parametrize("name", ["arithmetic", "variable-chain", "addition-3d-8", "ordering", "dates", "coin-flip"])
def test_coverage_is_at_most_one_for_every_task(name: str) -> None:
    task = load_task(name)
    rng = random.Random(name)
    for question in task.draw_questions(3, seed=0):
        visible = [
            rng.choice(["{}", "${}", "{}.00", "{}.5"]).format(value) for value in (*question.values, question.answer)
        ]
        for stem in choose_stems(question.form):
            case = make_case(question, "".join(f" So it is {each}." for each in visible), stem)
            [record] = execute(LENS, compile_plan([make_full_cot(case)]))
            assert len(record.logprobs) == len(case.candidates)
            assert Score("coverage.full", option_coverage(record.logprobs)).value <= 1  # type: ignore[operator]


def test_an_answer_that_cannot_be_written_after_a_version_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tokenizer writes 2500 after the chain, and not after the shorter version: the options stay as they are."""
    case = make_case(make_free_form_question("q", "?", "12", candidates=("12", "13")), " Hm. So.")
    whole, cut = make_full_cot(case), truncate(case, 1)
    encode = Case._encode_answer

    def refuse(self: Case, model: Model, before: Sequence[int], answer: str, stem: Stem) -> list[tuple[int, ...]]:
        if answer == "2500" and tuple(before) == tuple(cut.ids):
            raise TraceError("it cannot be written there", "")
        return encode(self, model, before, answer, stem)

    monkeypatch.setattr(Case, "_encode_answer", refuse)
    assert len(case.add_options(LENS, whole, ["2500"]).options) == 3
    assert case.add_options(LENS, cut, ["2500"]) == cut
