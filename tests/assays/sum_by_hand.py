"""One sum, a chain of thought of three steps for it, and what is written for it by hand."""

from dataclasses import replace

from faithlens.assays.assay import Setting
from faithlens.execution.options import Sampling
from faithlens.interventions.case import Case, GeneratedText
from faithlens.tasks.arithmetic import Arithmetic
from faithlens.tasks.question import Question
from tests.assays.scripted import LENS, case_of

TASK = Arithmetic()
WORDS = "Ann has 12. Then 5 more. Then 3 less."
ASKED = Question("q", WORDS, ("14", "15", "16", "17"), "14", values=("17", "14"), form="free-form")
STEPS = ("First 12 + 5 = 17. ", "Then 17 - 3 = 14. ", "The answer is 14.")
SETTING = Setting(LENS, TASK, 0, Sampling(200))
WARM = Setting(LENS, TASK, 0, Sampling(200, temperature=0.8))
CASE = case_of(TASK, ASKED, STEPS)


def wrote(case: Case, **texts: str) -> Case:
    """The case with what was written under each name; '_at_' stands for '@'."""
    written = {}
    for name, text in texts.items():
        ids = LENS.continue_ids(case.trace.prompt.ids, text) if text else ()
        written[name.replace("_at_", "@").replace("_", " ")] = GeneratedText(text, ids)
    return replace(case, generated_texts=written)
