"""The table of Turpin et al. from made-up outputs, with cells counted by hand."""

import json
from pathlib import Path

import pytest

import faithlens as fl
from faithlens.commands.replicate.table import Replication
from faithlens.errors import TaskError
from faithlens.tasks.published.turpin import TASKS
from tests.tasks.published_files import make_outputs, make_questions, read_refusal, write_text

# Five questions; the suggestion of the last is right, so it does not count. Of the others, the biased chain of the
# fourth cannot be read, so it counts nowhere.
SUGGESTED = [1, 1, 0, 2, 0]
SNARKS = {
    "right": [0, 0, 1, 1, 0],
    "plain_prior": [0, 1, 1, 1, 1],
    "biased_prior": [1, 1, 1, 1, 1],
    "plain": [0, 0, 1, 1, 1],
    "biased": [0, 1, 0, -1, 1],
}


def write_snarks(folder: Path, name: str = "a.json.gz", model: str = "text-davinci-003") -> Path:
    return write_text(folder / name, json.dumps(make_outputs("snarks", model, False, **SNARKS)))


def read_cells(replication: Replication) -> dict[str, tuple[float | None, float | None, int]]:
    return {cell.name: (cell.published, cell.ours, cell.n) for cell in replication.cells}


def test_cells_are_those_counted_by_hand(tmp_path: Path) -> None:
    write_snarks(tmp_path)
    write_text(tmp_path / "questions/snarks.json.gz", json.dumps(make_questions(SUGGESTED)))
    replication = fl.replicate("turpin", tmp_path)
    cells, group = read_cells(replication), "text-davinci-003, zero-shot"
    third = 100 / 3
    assert cells[f"{group}: no chain, plain"] == (57.1, pytest.approx(2 * third), 3)
    assert cells[f"{group}: no chain, biased"] == (39.5, pytest.approx(third), 3)
    assert cells[f"{group}: chain, plain"] == (59.6, pytest.approx(100), 3)
    assert cells[f"{group}: chain, biased"] == (23.3, pytest.approx(third), 3)
    assert cells[f"{group}: change, no chain"] == (-17.6, pytest.approx(-third), 3)
    assert cells[f"{group}: change, chain"] == (-36.3, pytest.approx(-2 * third), 3)
    first = replication.cells[0]
    assert first.difference == pytest.approx(2 * third - 57.1)
    assert first.explanation == (
        "without 12 of 13 tasks; questions left out, because their answer after a chain is unreadable: 1"
    )
    missing = ", ".join(task for task in TASKS if task != "snarks")
    assert f"{group}: without the tasks {missing}" in replication.remarks


def test_all_questions_weigh_alike_and_the_mean_of_tasks_is_another_number(tmp_path: Path) -> None:
    write_snarks(tmp_path)
    navigate = {name: [0] for name in ("right", "plain", "plain_prior", "biased_prior")} | {"biased": [1]}
    write_text(tmp_path / "b.json", json.dumps(make_outputs("navigate", "text-davinci-003", False, **navigate)))
    for task, suggested in (("snarks", SUGGESTED), ("navigate", [1])):
        write_text(tmp_path / f"bbh/{task}/val_data.json", json.dumps(make_questions(suggested)))
    cells = read_cells(fl.replicate("turpin", tmp_path))
    group = "text-davinci-003, zero-shot: change, chain"
    assert cells[group][1:] == (pytest.approx(100 * (1 / 4 - 4 / 4)), 4)
    assert cells[f"{group}, mean of task means"] == (None, pytest.approx(100 * (-2 / 3 - 1) / 2), 4)


def test_unknown_models_and_other_biases_have_no_published_number(tmp_path: Path) -> None:
    write_snarks(tmp_path, model="model-x")
    always = make_outputs("snarks", "text-davinci-003", True, **SNARKS)
    always["config"]["bias_type"] = "ans_always_a"
    write_text(tmp_path / "always.json", json.dumps(always))
    write_text(tmp_path / "snarks.json", json.dumps(make_questions(SUGGESTED)))
    write_text(tmp_path / "few_shot_prompts.json", "{}")
    replication = fl.replicate("turpin", tmp_path)
    cells = read_cells(replication)
    assert cells["model-x, zero-shot: chain, plain"] == (None, pytest.approx(100), 3)
    # where the examples all have (A), the questions that count are those whose right answer is another
    assert cells["text-davinci-003, few-shot, examples always (A): chain, plain"] == (None, pytest.approx(100), 1)
    assert "not read, because they hold neither outputs nor questions: few_shot_prompts.json" in replication.remarks
    assert any(remark.startswith("the files hold no outputs of text-davinci-003") for remark in replication.remarks)


def test_without_a_file_of_questions_the_outputs_say_what_was_suggested(tmp_path: Path) -> None:
    outputs = make_outputs("snarks", "claude-v1", True, **SNARKS)
    outputs["outputs"][0]["random_ans_idx"] = SUGGESTED
    write_text(tmp_path / "a.json", json.dumps(outputs))
    write_snarks(tmp_path, "b.json")
    replication = fl.replicate("turpin", tmp_path)
    assert read_cells(replication)["claude-v1, few-shot: chain, plain"] == (81.6, pytest.approx(100), 3)
    assert "left out b.json: there is no file of questions for snarks" in replication.remarks


def test_damage_is_named_with_file_and_place(tmp_path: Path) -> None:
    outputs = make_outputs("snarks", "claude-v1", True, **SNARKS)
    damaged = {
        "outputs[1]: 'y_pred' has 4 entries, and 'y_true' has 5": lambda o: o["outputs"][1]["y_pred"].pop(),
        "outputs[0]['y_pred'][2]: \"B\" is no option": lambda o: o["outputs"][0]["y_pred"].__setitem__(2, "B"),
        "outputs[0]: no 'y_pred_prior'": lambda o: o["outputs"][0].pop("y_pred_prior"),
        "'config': no 'model'": lambda o: o["config"].pop("model"),
        "'outputs': 1 parts": lambda o: o["outputs"].pop(),
        "outputs[1]['y_true']: it differs": lambda o: o["outputs"][1].__setitem__("y_true", [1, 1, 1, 1, 1]),
    }
    for words, damage in damaged.items():
        copy = json.loads(json.dumps(outputs))
        damage(copy)
        write_text(tmp_path / "bad.json", json.dumps(copy))
        message = read_refusal("turpin", tmp_path)
        assert f"{tmp_path / 'bad.json'} is damaged at {words}" in message


def test_two_files_of_the_same_outputs_are_refused(tmp_path: Path) -> None:
    write_snarks(tmp_path)
    write_snarks(tmp_path, "copy.json")
    write_text(tmp_path / "snarks.json", json.dumps(make_questions(SUGGESTED)))
    with pytest.raises(TaskError, match="another file has the outputs of text-davinci-003 on snarks too"):
        fl.replicate("turpin", tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("cut.json", b'{"config": {"task"', "not JSON at line 1, column 19"),
        ("cut.json.gz", b"\x1f\x8b\x08\x00", "its gzip packing does not unpack"),
        ("plain.json.gz", b"{}", "its gzip packing does not unpack"),
        ("latin.json", b'{\n"config": "\xe9"}', "not UTF-8 at byte 13, line 2"),
    ],
)
def test_files_that_cannot_be_read_in_full_are_refused(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TaskError) as caught:
        fl.replicate("turpin", tmp_path)
    assert str(tmp_path / name) in caught.value.problem
    assert words in caught.value.problem


def test_a_folder_of_other_files_is_refused(tmp_path: Path) -> None:
    write_text(tmp_path / "other.json", "[1, 2]")
    with pytest.raises(TaskError, match=r"holds no files of turpin.*other\.json"):
        fl.replicate("turpin", tmp_path)
    with pytest.raises(TaskError, match="there is no folder"):
        fl.replicate("turpin", tmp_path / "missing")
    with pytest.raises(TaskError, match=r"holds no file that ends in \.csv"):
        fl.replicate("iphr", tmp_path)


def test_failed_questions_and_numbers_with_a_point_are_read(tmp_path: Path) -> None:
    """A question that failed is null or NaN in every list; the others of such a list may be 1.0."""
    write_text(tmp_path / "snarks.json", json.dumps(make_questions(SUGGESTED)))
    group = "text-davinci-003, zero-shot"
    for missing in (None, float("nan")):
        outputs = make_outputs("snarks", "text-davinci-003", False, **SNARKS)
        outputs["failed_idx"] = [1]
        for part in outputs["outputs"]:
            for name in ("y_true", "y_pred", "y_pred_prior"):
                part[name] = [missing if i == 1 else float(value) for i, value in enumerate(part[name])]
        write_text(tmp_path / "a.json", json.dumps(outputs))
        replication = fl.replicate("turpin", tmp_path)
        cells = read_cells(replication)
        assert cells[f"{group}: no chain, biased"] == (39.5, pytest.approx(50), 2)
        assert cells[f"{group}: chain, biased"] == (23.3, pytest.approx(50), 2)
        assert "unreadable: 2" in replication.cells[0].explanation
    outputs["outputs"][0]["y_pred"][0] = 0.5
    write_text(tmp_path / "a.json", json.dumps(outputs))
    assert "outputs[0]['y_pred'][0]: 0.5 is no option" in read_refusal("turpin", tmp_path)


def test_outputs_on_other_tasks_are_in_no_cell(tmp_path: Path) -> None:
    """The published cells are over 13 tasks; the authors ran others too, whose configurations name no bias."""
    write_snarks(tmp_path)
    write_text(tmp_path / "snarks.json", json.dumps(make_questions(SUGGESTED)))
    other = make_outputs("formal_fallacies", "text-davinci-003", False, **SNARKS)
    other["outputs"][0]["random_ans_idx"] = [1, 1, 0, 0, 1]
    bbq = make_outputs("bbq", "text-davinci-003", False, **SNARKS)
    del bbq["config"]["bias_type"]
    for name, content in (("other.json", other), ("bbq.json", bbq)):
        write_text(tmp_path / name, json.dumps(content))
    replication = fl.replicate("turpin", tmp_path)
    assert replication.cells[0].n == 3
    left_out = [remark for remark in replication.remarks if remark.startswith("left out")]
    assert left_out == [
        "left out bbq.json: 'bbq' is none of the 13 tasks of the paper's table",
        "left out other.json: 'formal_fallacies' is none of the 13 tasks of the paper's table",
    ]
