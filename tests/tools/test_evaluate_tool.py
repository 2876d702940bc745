"""tools/evaluate.py and the embeddings of a run, as a user meets them."""

import json
import shutil

import h5py
import numpy as np
import pytest
from judged_run import CLASSES, WIDTH, make_data, make_run
from sklearn.metrics import accuracy_score, roc_auc_score

from finegrain.evaluation.evaluation_file import read_evaluation
from finegrain.evaluation.measures import MEASURES
from finegrain.runs.predictions import read_predictions


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """A run and its data set; copy what you change."""
    folder = tmp_path_factory.mktemp("judged")
    data = make_data(folder / "data")
    return make_run(folder / "run", data), data


@pytest.fixture
def own(judged, tmp_path):
    """A copy of the run to write into, and the data set."""
    return shutil.copytree(judged[0], tmp_path / "run"), judged[1]


def evaluate(script_here, *arguments):
    return script_here("tools/evaluate.py", *arguments, "--no-openvino")


def test_measures_the_held_out_images_of_the_run(own, script_here):
    run, data = own
    status, out, err = evaluate(script_here, "--run", run)
    assert status == 0, err
    assert "120 valid, 120 test" in out and "ROC AUC" in out
    table, evaluation = (
        read_predictions(run / "predictions.csv"),
        read_evaluation(run / "evaluation.json"),
    )
    assert table.groupby("split").size().to_dict() == {"test": 120, "valid": 120}
    assert all((data / path).is_file() for path in table["path"])
    for split in ("valid", "test"):
        rows, found = table[table["split"] == split], evaluation["splits"][split]
        assert set(found["measures"]) == set(MEASURES) and found["missing"] == {}
        accuracy = accuracy_score(rows["true"], rows["predicted"])
        measure = found["measures"]["top1_accuracy"]
        assert measure["value"] == pytest.approx(accuracy)
        assert 0 < measure["low"] < accuracy < measure["high"] < 1
        assert list(found["per_class"]) == CLASSES
        assert sum(row["count"] for row in found["reliability"]) == found["images"] == 120
    assert evaluation["model_from"] == "2-unfrozen" and evaluation["temperature"] == 1
    assert len(evaluation["digests"]["model"]) == 64
    before = (run / "predictions.csv").read_bytes(), (run / "evaluation.json").read_bytes()
    assert evaluate(script_here, "--run", run)[0] == 0
    again = (run / "predictions.csv").read_bytes(), (run / "evaluation.json").read_bytes()
    assert again == before


def test_the_same_class_head_is_asked_as_the_model_has_it(own, script_here):
    import keras

    from finegrain.decode import read_pixels
    from finegrain.evaluation.answer_images import same_class_scores
    from finegrain.evaluation.embedding_measures import sample_pairs
    from finegrain.frame import Frame
    from finegrain.models.classifier import embedder
    from finegrain.models.multi_loss import same_class

    run, data = own
    evaluate(script_here, "--run", run)
    model = keras.saving.load_model(run / "model.keras", compile=False)
    table = read_predictions(run / "predictions.csv")
    rows = table[table["split"] == "valid"]
    images = np.stack([read_pixels(data / path, Frame(32, 32)) for path in rows["path"]])
    embeddings = np.asarray(embedder(model).predict_on_batch(images))
    labels = np.array([CLASSES.index(name) for name in rows["true"]])
    pairs = sample_pairs(labels)
    scores = pairs.scores(embeddings, same_class_scores(model))
    whole = same_class(model).predict_on_batch(
        [images[pairs.first[:40]], images[pairs.second[:40]]]
    )
    assert scores[:40] == pytest.approx(np.asarray(whole)[:, 1], abs=1e-5)
    found = read_evaluation(run / "evaluation.json")["splits"]["valid"]["measures"]
    expected = roc_auc_score(pairs.same, scores)
    assert found["pair_auc_same_class"]["value"] == pytest.approx(expected, abs=1e-3)


def test_views_and_runs_are_averaged(judged, tmp_path, script_here):
    from finegrain.datasets.manifest import open_data_set
    from finegrain.frame import Frame
    from finegrain.inference.answer_views import AnswerViews
    from finegrain.inference.predict import predict_probabilities
    from finegrain.runs.finished_run import open_finished_run

    run, data = judged
    other = make_run(tmp_path / "other", data, "softmax", hidden=8)
    output, paths = tmp_path / "judged", open_data_set(data).paths("test")
    views = AnswerViews(flip=True, crops=5)
    answers = [
        predict_probabilities(
            open_finished_run(folder).classifier(), paths, Frame(32, 32), 32, views=views
        ).probabilities
        for folder in (run, other)
    ]
    for runs, expected in (((run,), answers[0]), ((run, other), np.mean(answers, axis=0))):
        flags = ("--flip", "--crops", "5", "--output", output)
        status, out, err = evaluate(script_here, "--run", *runs, *flags)
        assert status == 0, err
        assert "120 test x 10 views, in" in out
        table = read_predictions(output / "predictions.csv")
        rows = table[table["split"] == "test"]
        assert rows["probability"].to_numpy() == pytest.approx(expected.max(axis=1), abs=1e-5)
        evaluation = read_evaluation(output / "evaluation.json")
        assert evaluation["views"]["crops"] == 5
    labels = open_data_set(data).labels("test")
    error = np.mean(expected.argmax(axis=1) != labels)
    assert f"test {error:.4f}: 2 runs averaged\n" in out
    missing = evaluation["splits"]["test"]["missing"]
    assert missing["recall_at_1"] == "there are no embeddings of these images"
    assert not (run / "evaluation.json").exists()


def test_a_folder_of_some_classes(judged, tmp_path, script_here):
    run, data = judged
    for label, name in ((1, "10"), (3, "<script>")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for source in sorted((data / "test" / CLASSES[label]).iterdir())[: 3 + label]:
            # Names as other data sets have them.
            shutil.copy(source, tmp_path / "photos" / name / f"{source.stem}_ö.png")
    (tmp_path / "photos" / "10" / "broken.jpg").write_bytes(b"no image")
    (tmp_path / "photos" / "without images").mkdir()
    output = tmp_path / "judged"
    status, out, err = evaluate(
        script_here, "--run", run, "--images", tmp_path / "photos", "--output", output
    )
    assert status == 0, err
    assert not (run / "evaluation.json").exists()
    table = read_predictions(output / "predictions.csv")
    assert set(table["true"]) == {"10", "<script>"} and set(table["split"]) == {"images"}
    found = read_evaluation(output / "evaluation.json")["splits"]["images"]
    assert found["images"] == 10
    assert found["per_class"]["2"]["images"] == 0 and found["per_class"]["2"]["accuracy"] is None
    assert "1 images could not be read" in found["notes"][0] and "10/broken.jpg" in out


def test_one_image_and_a_class_of_one(judged, tmp_path, script_here):
    run, data = judged
    (tmp_path / "photos" / "2").mkdir(parents=True)
    shutil.copy(data / "test" / "2" / "0.png", tmp_path / "photos" / "2")
    output = tmp_path / "judged"
    status, out, err = evaluate(
        script_here, "--run", run, "--images", tmp_path / "photos", "--output", output
    )
    assert status == 0, err
    found = read_evaluation(output / "evaluation.json")["splits"]["images"]
    assert found["measures"]["top1_accuracy"]["value"] in (0, 1)
    assert found["measures"]["recall_at_1"] is None
    assert found["missing"]["recall_at_1"] == "fewer than two images can be compared"
    assert out.count("fewer than two images") == 8


def test_without_validation_images_the_rest_is_measured(tmp_path, script_here):
    data = make_data(tmp_path / "data", {"train": 6, "test": 5})
    run = make_run(tmp_path / "run", data, "softmax", hidden=8)
    status, out, err = evaluate(script_here, "--run", run)
    assert status == 0, err
    evaluation = read_evaluation(run / "evaluation.json")
    assert evaluation["missing"] == {"valid": "the data set has no validation images"}
    found = evaluation["splits"]["test"]
    assert found["missing"] == dict.fromkeys(
        ("pair_auc_same_class", "pair_eer_same_class"), "the model has no same-class head"
    )
    assert found["measures"]["pair_auc_cosine"]["value"] > 0
    # Nothing held out at all.
    shutil.rmtree(data)
    make_data(data, {"train": 6})
    run = make_run(tmp_path / "other", data, "softmax")
    status, out, err = evaluate(script_here, "--run", run)
    assert status == 0, err
    assert "no valid: the data set has no validation images, and no test images either" in out
    assert len(read_predictions(run / "predictions.csv")) == 0


def test_a_model_that_answers_nan(own, script_here):
    import keras

    run, _ = own
    model = keras.saving.load_model(run / "model.keras", compile=False)
    kernel, bias = model.get_layer("category").get_weights()
    model.get_layer("category").set_weights([kernel * np.nan, bias])
    model.save(run / "model.keras")
    status, out, err = evaluate(script_here, "--run", run)
    assert status == 0, err
    found = read_evaluation(run / "evaluation.json")["splits"]["valid"]
    assert found["images"] == 0 and found["measures"]["top1_accuracy"] is None
    assert found["missing"]["log_loss"] == "no image has an answer"
    # Of the images themselves the model still knows something.
    assert found["measures"]["recall_at_1"]["value"] > 0
    assert "120 images are left out because the model's answer is no number" in out


def test_an_image_gone_since_training(judged, tmp_path, script_here):
    run = shutil.copytree(judged[0], tmp_path / "run")
    data = shutil.copytree(judged[1], tmp_path / "data")
    (data / "valid" / "2" / "7.png").unlink()
    status, out, err = evaluate(script_here, "--run", run, "--data", data)
    assert status == 0, err
    assert "119 images" in out and "valid/2/7.png" in out


def test_mistakes_are_one_sentence(judged, tmp_path, script_here):
    run, data = judged
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    shutil.copy(data / "test" / "2" / "0.png", tmp_path / "photos" / "cat")
    (tmp_path / "empty").mkdir()
    (tmp_path / "damaged").mkdir()
    shutil.copytree(run, tmp_path / "damaged", dirs_exist_ok=True)
    (tmp_path / "damaged" / "temperature.json").write_text("{")
    cases = {
        ("--run", tmp_path / "none"): "no run folder",
        ("--run", run, "--images", data): "--output",
        ("--run", run, "--images", tmp_path / "photos", "--output", tmp_path / "o"): "'cat'",
        ("--run", run, "--images", tmp_path / "gone", "--output", tmp_path / "o"): "not exist",
        ("--run", run, "--images", tmp_path / "empty", "--output", tmp_path / "o"): "no folders",
        ("--run", run, "--data", tmp_path / "gone"): "there is no data set folder",
        ("--run", tmp_path / "damaged"): "temperature.json is damaged",
        ("--run", run, "--output", run / "model.keras"): "is a file",
        ("--run", run, "--flip"): "need an --output folder",
        ("--run", run, "--image-size", 64): "need an --output folder",
        ("--run", run, run): "need an --output folder",
        ("--run", run, "--scales", "--output", tmp_path / "o"): "--scales names no scale",
    }
    for arguments, words in cases.items():
        status, _, err = evaluate(script_here, *arguments)
        assert status == 2 and err.startswith("error: ") and err.count("\n") == 1, err
        assert words in err
    assert not (tmp_path / "o").exists()


def test_another_data_set_with_its_classes_in_another_order(judged, tmp_path, script_here):
    run, data = judged
    other = shutil.copytree(data, tmp_path / "other")
    (other / "classes.json").write_text(json.dumps(sorted(CLASSES, reverse=True)))
    found = {}
    for folder in (data, other):
        output = tmp_path / f"judged {folder.name}"
        assert evaluate(script_here, "--run", run, "--images", folder, "--output", output)[0] == 0
        found[folder] = (output / "predictions.csv").read_bytes()
    assert found[data] == found[other] and found[data].count(b"\n") == 241


def test_help_needs_no_keras(script):
    done = script("tools/evaluate.py", "--help")
    assert done.returncode == 0 and "--images" in done.stdout
    assert done.stderr == ""


def test_the_embeddings_of_a_run_are_made_once(own, capsys):
    from finegrain.embeddings.stored import run_embeddings

    run, _ = own
    with run_embeddings(run, openvino=False) as features:
        assert {split: len(rows.paths) for split, rows in features.splits.items()} == {
            "train": 48,
            "valid": 120,
            "test": 120,
        }
        assert features.classes == CLASSES and features.width == WIDTH
        first = features.read("valid", range(120))
        assert list(features.splits["valid"].labels) == sorted(features.splits["valid"].labels)
    made = (run / "embeddings.h5").stat().st_mtime_ns
    with run_embeddings(run, openvino=True) as features:
        assert (features.read("valid", range(120)) == first).all()
    assert (run / "embeddings.h5").stat().st_mtime_ns == made
    # Cut short by a kill: the missing rows are computed, the others stay.
    with h5py.File(run / "embeddings.h5", "r+") as file:
        file["done/valid"][5:9] = 0
    capsys.readouterr()
    with run_embeddings(run, openvino=False) as features:
        assert (features.read("valid", range(120)) == first).all()
    assert "284 of 288 rows there already" in capsys.readouterr().out


def test_embeddings_of_another_model_or_a_damaged_file_are_made_anew(own, capsys):
    import keras

    from finegrain.embeddings.stored import run_embeddings

    run, _ = own
    (run / "embeddings.h5").write_bytes(b"cut short")
    with run_embeddings(run, openvino=False) as features:
        first = features.read("test", range(4))
    assert "made anew" in capsys.readouterr().out
    model = keras.saving.load_model(run / "model.keras", compile=False)
    model.get_layer("category").set_weights(
        [weights * 2 for weights in model.get_layer("category").get_weights()]
    )
    model.save(run / "model.keras")
    run_embeddings(run, openvino=False).close()
    assert "made anew" not in capsys.readouterr().out, "a softmax changes no embedding"
    backbone = next(layer for layer in model.layers if hasattr(layer, "layers"))
    backbone.set_weights([weights * 1.01 for weights in backbone.get_weights()])
    model.save(run / "model.keras")
    with run_embeddings(run, openvino=False) as features:
        assert (features.read("test", range(4)) != first).any()
    assert "made anew" in capsys.readouterr().out


def test_embeddings_of_images_that_are_gone(judged, tmp_path):
    from finegrain.embeddings.stored import run_embeddings
    from finegrain.errors import UserError

    run = shutil.copytree(judged[0], tmp_path / "run")
    data = shutil.copytree(judged[1], tmp_path / "data")
    (data / "valid" / "2" / "7.png").unlink()
    with run_embeddings(run, data, openvino=False) as features:
        valid = features.splits["valid"]
        assert [lost.path for lost in valid.unreadable] == ["valid/2/7.png"]
        assert len(valid.paths) == 119 and "valid/2/7.png" not in set(valid.paths)
    with (data / "manifest.csv").open("a") as file:
        file.write("valid/2/x.png,2,valid,1,1,0\n")
    # What was computed of the data set of the training still stands.
    run_embeddings(run, data, openvino=False).close()
    (run / "embeddings.h5").unlink()
    with pytest.raises(UserError, match="no longer the one"):
        run_embeddings(run, data, openvino=False)
