"""A judge behind a real server, `transformers serve`: a random model, whose replies are those of the local model."""

from pathlib import Path

import pytest
from transformers.utils.import_utils import is_serve_available

from faithlens.execution.endpoint import Endpoint, Failure
from faithlens.interventions.editor import ModelEditor
from faithlens.judging.inquiry import Judgement
from faithlens.judging.planted import list_planted_chains
from faithlens.judging.readers import JudgeModel, load_readers
from faithlens.model.load import load
from tests.execution.samplers.serving import make_served_model, serve

pytestmark = pytest.mark.skipif(not is_serve_available(), reason="needs the extra `serve`: fastapi, uvicorn, openai")
TEMPLATE = "{% for m in messages %}{{ m.content }}{% endfor %}{% if add_generation_prompt %}\nReply: {% endif %}"


def test_replies_of_a_real_server_are_read_and_a_name_that_it_does_not_have_is_a_failure(tmp_path: Path) -> None:
    model, folder = make_served_model(), tmp_path / "judge"
    model.tokenizer.chat_template = TEMPLATE
    model.hf_model.config.max_position_embeddings = 8192
    model.hf_model.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    inquiries = [planted.inquiry for planted in list_planted_chains()[:3]]
    local = JudgeModel(ModelEditor(load(str(folder), device="cpu")), max_new_tokens=12)
    with serve(folder, tmp_path / "serve.log") as name:
        [served] = load_readers([name], max_new_tokens=12)
        first, second = (served.read(inquiries, repeat) for repeat in range(2))
        assert isinstance(served, JudgeModel)
        assert isinstance(served.writer, Endpoint)
        nobody = JudgeModel(Endpoint(served.writer.url, "no/such-model", retries=0)).read(inquiries[:1], 0)
    assert first == second == local.read(inquiries, 0)
    for judgement in first:
        assert isinstance(judgement, Judgement)
        assert (judgement.label, judgement.reason) == (None, "the reply is no JSON object")
        assert len(judgement.reply) == 12
    assert [type(each) for each in nobody] == [Failure]
