"""Sampling through a real server, `transformers serve`: greedy tokens are those that the local model writes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers.utils.import_utils import is_serve_available

import faithlens as fl
from faithlens.errors import ModelError
from faithlens.execution.options import Sampling
from faithlens.execution.sample import sample
from faithlens.execution.samplers.server import MOST_GAP, ServerSampler
from faithlens.model.load import load
from faithlens.model.model import Model
from tests.execution.samplers.serving import make_served_model, serve

pytestmark = pytest.mark.skipif(not is_serve_available(), reason="needs the extra `serve`: fastapi, uvicorn, openai")

PROMPTS = [f"{word} = " for word in ("a", "two words", "x" * 40, "2 + 3", "And a sentence.")]
GREEDY = Sampling(max_new_tokens=20)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, model = tmp_path_factory.mktemp("served") / "model", make_served_model()
    model.hf_model.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=["one after the other", "continuous batching"])
def url(request: pytest.FixtureRequest, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    batching = ["--cb-num-blocks", "64", "--cb-max-batch-tokens", "512"]
    options = ["--continuous-batching", *batching] if request.param.startswith("continuous") else []
    with serve(folder, tmp_path_factory.mktemp("log") / "serve.log", *options) as address:
        yield address


@pytest.fixture(scope="module")
def local(folder: Path) -> Model:
    return load(str(folder), device="cpu")


def test_greedy_tokens_are_those_of_the_local_model(url: str, local: Model) -> None:
    prompts, seeds = [local.encode_prompt(text) for text in PROMPTS], range(len(PROMPTS))
    server = ServerSampler.at(url)
    written = server.draw(local, prompts, seeds, GREEDY)
    assert written == sample(local, prompts, seeds, GREEDY)
    assert max(len(each.ids) for each in written) == 20
    facts = server.describe(local)
    gap = facts.pop("gap")
    assert isinstance(gap, float)
    assert 0 <= gap < 1e-3
    address, _, name = url.partition("#")
    assert facts == {
        "name": "openai", "url": address, "model": name, "version": None, "form": "text", "ids": "encoded",
    }  # fmt: skip


def test_limits_and_ends_are_those_of_the_local_model(url: str, local: Model) -> None:
    prompts, seeds = [local.encode_prompt(text) for text in PROMPTS], range(len(PROMPTS))
    end, limits = local.decode(sample(local, prompts, seeds, GREEDY)[0].ids[3:5]), [None, 3, 7, None, 12]
    written = ServerSampler.at(url).draw(local, prompts, seeds, GREEDY, max_tokens=limits, until=end)
    assert written == sample(local, prompts, seeds, GREEDY, max_tokens=limits, until=end)


def test_a_server_with_other_weights_is_refused(url: str, local: Model) -> None:
    other = make_served_model()
    with torch.no_grad():
        other.hf_model.get_output_embeddings().weight.neg_()  # the likeliest token there is the least likely one here
    with pytest.raises(ModelError, match=rf"nats less likely under the weights of .*, and {MOST_GAP:g} is allowed"):
        ServerSampler.at(url).draw(other, [local.encode_prompt(PROMPTS[0])], [0], GREEDY)


def test_a_name_that_the_server_does_not_have_is_refused(url: str, local: Model) -> None:
    with pytest.raises(ModelError, match=r"no/such-model at .* gave no answer: status 4"):
        ServerSampler.at(url.partition("#")[0] + "#no/such-model").draw(local, [(9, 9)], [0], GREEDY)


def test_an_audit_through_a_server_gives_the_numbers_of_a_local_one(tmp_path: Path) -> None:
    weights = Path(fl.__file__).parent / "organisms" / "weights" / "O1"
    options = {"n": 4, "assays": ("baselines", "early_answering", "mistakes_regenerated"), "max_new_tokens": 60}
    own = fl.audit("O1", "running-sum", out=tmp_path / "own", **options)
    with serve(weights, tmp_path / "serve.log") as url:
        served = fl.audit("O1", "running-sum", out=tmp_path / "served", sampler="openai", sampler_url=url, **options)
    for table in ("scores", "answers", "traces", "drafts"):
        assert served.read(table).equals(own.read(table)), table
    [subject] = served.manifest["subjects"].values()
    assert subject["sampler"]["form"] == "text"
    assert (own.path / "drafts.parquet").exists()
    with pytest.raises(fl.FaithlensError, match="sampler: 'openai' in the folder, 'own' given"):
        fl.audit("O1", "running-sum", out=tmp_path / "served", resume=True, **options)
