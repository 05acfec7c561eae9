"""Request an edit from an editor, again if it is invalid, a few times at most."""

from collections.abc import Callable

from faithlens.assays.assay import Setting, TextRequest
from faithlens.interventions.case import Case
from faithlens.tasks.rewrite_requests import MAX_TRIES, extract_rewrite

EditCheck = Callable[[str, str], str | None]
"""Why the second text is no valid edit of the first; None if it is one."""


def request_edit(case: Case, name: str, request: str, step: str, check: EditCheck) -> list[TextRequest]:
    """The requests made so far for an edit of `step`, and the next one if all failed and tries are left."""
    requests = []
    for k in range(MAX_TRIES):
        requests.append(TextRequest(f"{name}, try {k}", request))
        written = case.generated_texts.get(requests[-1].name)
        if written is None or check(step, extract_rewrite(written.text, step)) is None:
            break
    return requests


def choose_edit(case: Case, name: str, step: str, check: EditCheck) -> tuple[str, str | None]:
    """The first valid edit of `step`; else the last try and what is wrong with it."""
    after, invalid = "", "no edit was asked for"
    for k in range(MAX_TRIES):
        if (written := case.generated_texts.get(f"{name}, try {k}")) is None:
            break
        after = extract_rewrite(written.text, step)
        if (invalid := check(step, after)) is None:
            break
    return after, invalid


def name_editor(setting: Setting) -> str:
    """The editor's name in the table of edits."""
    return setting.editor.name if setting.editor else "the model"
