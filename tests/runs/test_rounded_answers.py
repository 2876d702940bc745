"""Which precision a run's answers are computed in, and by what that is judged."""

import numpy as np
import pytest
from finished_runs import make_run

from finegrain.errors import UserError
from finegrain.inference.kept_graph import KeptGraph
from finegrain.inference.predict import predict_probabilities
from finegrain.runs import rounded_answers
from finegrain.runs.answering import open_run
from finegrain.runs.finished_run import open_finished_run
from finegrain.runs.rounded_answers import AnswerScore, Known, rounded
from finegrain.runs.run_folder import ROUNDED_GRAPH

pytestmark = pytest.mark.needs("openvino")


@pytest.fixture(scope="module")
def made(drawn_data, tmp_path_factory):
    """A finished run, images, its graph, and what it answers in float32."""
    run = open_finished_run(make_run(tmp_path_factory.mktemp("made") / "run", drawn_data))
    paths = sorted(drawn_data.glob("*/*/*.jpg"))
    opened = open_run(run, paths, openvino=True, inference="float32")
    assert opened.note == "as asked" and ", float32, " in opened.compute.name
    answers = predict_probabilities(opened, paths, run.frame, 8, progress=False).probabilities
    return run, paths, opened.compute.graph, answers


@pytest.fixture
def many(monkeypatch):
    """Every number of images repays a judgement, and any shows enough."""
    monkeypatch.setattr(rounded_answers, "REPAYING_PIXELS", 0)
    monkeypatch.setattr(rounded_answers, "LEAST_IMAGES", 1)


@pytest.mark.parametrize(
    "score,good",
    [
        (AnswerScore(0.109, 1.019), True),
        (AnswerScore(0.111, 0.5), False),
        (AnswerScore(0.0, 1.021), False),
    ],
)
def test_tolerances(score, good):
    assert score.is_as_good_as(AnswerScore(0.1, 1.0)) is good


def test_a_score_is_that_of_all_answers(made):
    run, paths, _, answers = made
    images = np.stack([rounded_answers._pixels(path, run.frame) for path in paths])
    labels = np.arange(len(paths)) % len(run.classes)
    engine = open_run(run, paths, openvino=True, inference="float32").compute
    found = Known(images, labels).score(engine)
    assert found.error == pytest.approx((answers.argmax(axis=1) != labels).mean())
    expected = -np.log(answers[np.arange(len(paths)), labels]).mean()
    assert found.log_loss == pytest.approx(expected, rel=1e-5)


def test_few_images_are_answered_as_before(made, monkeypatch):
    run, paths, graph, _ = made
    monkeypatch.setattr(rounded_answers, "_known_images", lambda run: pytest.fail("judged"))
    assert rounded(run, graph, "auto", paths, len(paths)) is None


def test_bfloat16_that_is_as_good_is_taken_and_kept(made, many, monkeypatch):
    run, paths, _, answers = made
    monkeypatch.setattr(rounded_answers, "faster_precisions", lambda: ["bf16"])
    opened = open_run(run, paths, openvino=True, inference="auto")
    assert ", bfloat16, " in opened.compute.name
    assert "validation images error" in opened.note and "in float32" in opened.note
    given = predict_probabilities(opened, paths, run.frame, 8, progress=False).probabilities
    np.testing.assert_allclose(given, answers, atol=0.05)
    monkeypatch.setattr(rounded_answers, "_known_images", lambda run: pytest.fail("judged again"))
    again = open_run(run, paths, openvino=True, only=0, inference="auto")
    assert (
        again.describe() == opened.describe()
        and len(again.run(np.zeros((1, 32, 32, 3), "uint8"))) == 1
    )
    assert KeptGraph.find(run.folder / ROUNDED_GRAPH, "0" * 64) is None
    (run.folder / ROUNDED_GRAPH).unlink()


def test_what_errs_more_is_left(made, many, monkeypatch):
    run, paths, graph, _ = made
    scores = iter([AnswerScore(0.1, 0.5), AnswerScore(0.12, 0.5)])
    monkeypatch.setattr(Known, "score", lambda self, engine: next(scores))
    monkeypatch.setattr(rounded_answers, "faster_precisions", lambda: ["bf16"])
    opened = rounded(run, graph, "auto", paths, len(paths))
    assert ", float32, " in opened.compute.name
    assert "error 0.100, log loss 0.500; bfloat16 is worse, error 0.120" in opened.note
    (run.folder / ROUNDED_GRAPH).unlink()


def test_without_its_data_set_a_run_answers_as_before(made, many, drawn_data, tmp_path):
    _, paths, graph, _ = made
    moved = make_run(tmp_path / "run", drawn_data)
    config = moved / "config.json"
    config.write_text(config.read_text().replace(str(drawn_data), str(tmp_path / "gone")))
    assert rounded(open_finished_run(moved), graph, "auto", paths, len(paths)) is None


def test_int8_without_nncf_is_refused(made, monkeypatch):
    run, paths, graph, _ = made
    monkeypatch.setattr("finegrain.inference.quantized.can_quantize", lambda: False)
    with pytest.raises(UserError, match="needs NNCF.*pip install -r requirements-int8.txt"):
        rounded(run, graph, "int8", paths, 1)


@pytest.mark.optional("nncf")
@pytest.mark.parametrize("asked", ["int8", "auto"])
def test_int8_answers_nearly_the_same(asked, made, many):
    run, paths, _, answers = made
    opened = open_run(run, paths, openvino=True, inference=asked)
    assert ", int8, " in opened.compute.name
    given = predict_probabilities(opened, paths, run.frame, 8, progress=False).probabilities
    assert 0 < np.abs(given - answers).max() < 0.1
