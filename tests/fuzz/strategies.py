"""What the fuzz tests try: numbers, prose, chains, questions, log entries, templates and conditions."""

import json
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from faithlens.tasks.question import Question
from faithlens.tasks.question_factory import make_choice_question, make_free_form_question
from faithlens.thought_markers import FAMILIES

MARKS = st.sampled_from([".", ","])
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
WILD_TEXT = st.text(max_size=12)  # with halves of characters

# --- numbers ---

_DIGITS = st.one_of(st.integers(0, 9).map(str), st.integers(0, 10**7).map(str), st.sampled_from(["000", "00", "1200"]))
_JOINTS = st.sampled_from(
    [".", ",", "{,}", "\\,", ",\\!", "'", "’", "_", " ", "\u202f", "\u00a0", ":", "/", "⁄", "-",
     "−", "e", "E", "^", "**", "×10^",
     " x 10", "*10**", "·10⁻", "..", ",,"]
)  # fmt: skip
_AROUND = st.sampled_from(
    ["-", "−", "+", "$", "\\$", "€", "£", "%", "\\%", " percent", " dollars", " million",
     " thousand", "k", "K", "M", "(", ")",
     "\\(", "\\)", "\\boxed{", "}", "{", "**", "`", "\\frac{", "\\frac", "}{", "½", "¾", "²",
     "⁻³", "st", "th", "rd", " am",
     "pm", "a.m.", " May ", "Sept. ", " of ", "2021", "x", "cm", "٣", "１", "½", "twelve",
     " hundred", " and ", "minus ", "one ",
     "=", " = ", "Step ", "#", "\n", ".", "!", "inf", "nan", "0x", "A", "(B)", "yes", "1e999",
     "\u0000", "\u200b", "é"]
)  # fmt: skip
NUMBER_LIKE = st.lists(st.one_of(_DIGITS, _JOINTS, _DIGITS, _AROUND), min_size=1, max_size=9).map("".join)
"""Texts of digits, marks, units and words in any order: some are values, most are not."""

NOTATED = st.builds(
    lambda sign, unit, whole, group, mark, decimals, after: (
        sign + unit + f"{whole:,}".replace(",", group) + (mark + decimals if decimals else "") + after
    ),
    st.sampled_from(["", "-", "−"]),
    st.sampled_from(["", "$", "€", "£"]),
    st.one_of(st.integers(0, 10_000), st.integers(0, 10**15)),
    st.sampled_from([",", ".", "", " ", "{,}", "\u202f", "'"]),
    MARKS,
    st.text("0123456789", max_size=4),
    st.sampled_from(["", "%", " %", " €"]),
)
"""Numbers as people write them, in one notation or the other."""

VALUE_TEXT = st.one_of(NUMBER_LIKE, NOTATED, ANY_TEXT)

# --- prose ---

_PHRASES = st.sampled_from(
    ["The answer is ", "So ", "Hence ", "It is not ", "It is ", "Wait, ", "no: ", "I choose ",
     "Option ", "because ", " or ",
     " and ", " not ", " but ", "Therefore, ", "is correct", "is wrong", "The user thinks ",
     "The final answer: ", "#### ",
     "Mr. ", "e.g. ", "1. ", "- ", "**Step 2:** ", "\\boxed{", "}", "\\[", "\\]", "$$", "$", "= ",
     " + ", " * ", " - ", "? ",
     "! ", ". ", ".\n", "\n\n", "\n", "\r\n", "\t", "。", "\"", "”", "“", "(", ")", "'", "...",
     "…", ": ", "; ", "the hint says ",
     "I was told ", "Let me check. ", "If it were ", ", which is false", "none of them", "both",
     "remainder ", "total of ",
     "twelve", "half", "at 8 a.m. ", "No. ", "\u2028", "\ufffd", "😀", "İ", "ß"]
)  # fmt: skip


def make_prose(question: Question) -> SearchStrategy[str]:
    """Running text with the labels, options and numbers of a question."""
    names = [*question.candidates, *question.choices, *(f"({label})" for label in question.candidates)]
    parts = st.one_of(_PHRASES, st.sampled_from(names), _PHRASES, st.integers(0, 30).map(str), NOTATED)
    return st.lists(parts, max_size=14).map("".join)


CHAIN = st.lists(st.one_of(_PHRASES, st.integers(0, 999).map(str), NUMBER_LIKE, ANY_TEXT), max_size=16).map("".join)

_MARKERS = st.sampled_from(
    [marker for _, row in FAMILIES for marker in (row.open, row.close, row.after, row.speak) if marker]
    + [
        "<|im_end|>",
        "</s>",
        "<|eot_id|>",
        "<end_of_turn>",
        "<THINK>",
        "assistantfinal",
        "analysis",
        "<think",
        "think>",
        " ",
    ]
)
REPLY = st.lists(st.one_of(_MARKERS, _MARKERS, _PHRASES, ANY_TEXT), max_size=10).map("".join)
"""What a model wrote, with markers of thoughts of all families in any order."""

# --- questions ---

_OPTION = st.one_of(
    st.integers(-50, 2000).map(str), NOTATED, st.sampled_from(["yes", "No", "A", "B", "(C)",
    "blue", "red", "none", "3/4", "12:30"]),
    st.text("abcdeé -", min_size=1, max_size=8).filter(str.strip),
)  # fmt: skip
_ASKED = st.one_of(st.just("What is it?"), CHAIN.filter(str.strip), ANY_TEXT.filter(str.strip))


@st.composite
def choice_questions(draw: st.DrawFn, most: int = 6) -> Question:
    """Questions with two or more different options."""
    choices = draw(st.lists(_OPTION, min_size=2, max_size=most, unique=True))
    right = draw(st.integers(0, len(choices) - 1))
    return make_choice_question("q", draw(_ASKED), choices, right)


@st.composite
def number_questions(draw: st.DrawFn) -> Question:
    """Free-form questions whose answer is a number, with near misses."""
    number = draw(st.one_of(st.integers(-30, 3000).map(str), st.integers(0, 99999).map(lambda n: f"{n / 100:,.2f}")))
    values = draw(st.lists(st.integers(0, 99).map(str), max_size=3))
    return make_free_form_question("q", draw(_ASKED), number, (*values, number))


QUESTIONS = st.one_of(choice_questions(), number_questions())

# --- JSON ---

_SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 30), st.integers(), st.floats(), ANY_TEXT, WILD_TEXT, NOTATED,
    st.sampled_from(["A", "B", "12", "yes", "stop", "length", ",", ".", ""]),
)  # fmt: skip
JSON = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(ANY_TEXT, inner, max_size=3)),
    max_leaves=6,
)


@st.composite
def mutate_entry(draw: st.DrawFn, good: SearchStrategy[dict[str, Any]]) -> dict[str, Any]:
    """A good entry in which some keys are missing, doubled under another name, or hold any JSON."""
    entry = json.loads(json.dumps(draw(good)))
    for _ in range(draw(st.integers(0, 2))):
        place = entry
        while isinstance(place, dict) and place:
            key = draw(st.sampled_from(sorted(place)))
            if isinstance(place[key], dict) and draw(st.booleans()):
                place = place[key]
                continue
            match draw(st.sampled_from(["drop", "replace", "rename"])):
                case "drop":
                    del place[key]
                case "replace":
                    place[key] = draw(JSON)
                case _:
                    place[key + draw(st.sampled_from(["s", "_", "", "x"]))] = place.pop(key)
            break
    return entry


def make_line(entry: Any) -> str:
    """An entry as a JSON line; halves of characters become escapes, as other programs write them."""
    return json.dumps(entry)


ENTRIES = st.one_of(
    st.fixed_dictionaries(
        {
            "question": _ASKED,
            "choices": st.lists(_OPTION, min_size=2, max_size=5, unique=True),
            "answer": st.sampled_from("AB"),
        },
        optional={"id": ANY_TEXT.filter(str.strip), "values": st.lists(NOTATED, max_size=3), "decimal_mark": MARKS},
    ),
    st.fixed_dictionaries(
        {"question": _ASKED, "answer": NOTATED},
        optional={"values": st.lists(NUMBER_LIKE, max_size=3), "decimal_mark": MARKS},
    ),
    st.fixed_dictionaries(
        {"question": _ASKED, "answer": _OPTION, "candidates": st.lists(_OPTION, min_size=2, max_size=5)}
    ),
)
"""Entries of a question file: most are good."""

CHAIN_ENTRIES = st.builds(
    lambda entry, reply: entry | reply,
    ENTRIES,
    st.one_of(
        st.fixed_dictionaries({"cot": REPLY}, optional={"finish": st.sampled_from(["stop", "length"])}),
        st.fixed_dictionaries({"cots": st.lists(REPLY, min_size=1, max_size=3)}),
    ),
)

_DOC = st.fixed_dictionaries(
    {"question": _ASKED},
    optional={
        "choices": st.one_of(
            st.lists(_OPTION, min_size=2, max_size=4, unique=True),
            st.just({"text": ["4", "5"], "label": ["A", "B"]}),
            st.just({"text": ["4", "5"], "label": ["1", "2"]}),
        ),
        "answer": st.one_of(st.integers(0, 3), st.sampled_from(["A", "5", "#### 12"])),
        "gold": st.one_of(st.integers(0, 3), st.lists(st.integers(0, 3), max_size=2)),
    },
)
LM_EVAL_ENTRIES = st.fixed_dictionaries(
    {
        "doc_id": st.integers(0, 99),
        "doc": _DOC,
        "target": st.one_of(
            st.sampled_from(["A", "(B)", "0", "1", "[1]", "yes", "12", "#### 1,200", "\\boxed{7}"]), _OPTION
        ),
        "resps": st.lists(REPLY, min_size=1, max_size=2).map(lambda texts: [texts]),
        "filter": st.sampled_from(["none", "strict-match"]),
    }
)
