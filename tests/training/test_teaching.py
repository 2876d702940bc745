"""What a teacher adds to a training: soft targets, and photographs whose label it guessed."""

import shutil
from dataclasses import replace

import keras
import numpy as np
import pytest
from finished_runs import SIDE, make_run

from finegrain.datasets.manifest import open_data_set
from finegrain.decode import read_pixels
from finegrain.errors import UserError
from finegrain.frame import Frame
from finegrain.report.run_record import read_run, run_facts
from finegrain.runs.finished_run import open_finished_run
from finegrain.runs.run_config import RunTeaching
from finegrain.runs.run_folder import RunFolder
from finegrain.training.epoch_keeper import EpochKeeper
from finegrain.training.feed import Feed
from finegrain.training.objectives import find_objective
from finegrain.training.session import reopen_session
from finegrain.training.settings import TrainingSettings
from finegrain.training.stage import Stage
from finegrain.training.teacher import check_teacher, taught_by
from finegrain.training.teaching import TEACHING, Teaching, read_teaching, taught_before

PLAIN = Stage("1-frozen", None, "adam", 1e-3, epochs=1, augmentation=None)


@pytest.fixture(scope="module")
def runs(drawn_data, tmp_path_factory):
    """Two finished runs, of which the second has its classes in another order and is surer."""
    folder = tmp_path_factory.mktemp("teachers")
    make_run(folder / "one", drawn_data, "softmax")
    classes = open_data_set(drawn_data).classes
    make_run(folder / "two", drawn_data, "softmax", classes[::-1])
    for name, sharpness in (("one", 3.0), ("two", 9.0)):
        model = keras.saving.load_model(folder / name / "model.keras", compile=False)
        kernel, bias = model.get_layer("category").get_weights()
        model.get_layer("category").set_weights([kernel * sharpness, bias])
        model.save(folder / name / "model.keras")
    return folder


@pytest.fixture(scope="module")
def photographs(drawn_data, tmp_path_factory):
    """Twelve drawn ones that the data set lacks, one twice, and some that it has."""
    from finegrain.drawn.breed import demo_breeds
    from finegrain.drawn.collection import write_photos

    folder = tmp_path_factory.mktemp("unlabelled")
    write_photos(folder / "drawn", demo_breeds()[:4], per_class=3, seed=99)
    test = folder / "test"
    test.mkdir()
    for number, path in enumerate(sorted((folder / "drawn").rglob("*.jpg"))):
        shutil.copy(path, test / f"{number}.jpg")
    shutil.copy(test / "0.jpg", test / "again.jpg")
    (test / "broken.jpg").write_bytes(b"no image")
    data = open_data_set(drawn_data)
    for split, count in (("train", 1), ("valid", 2), ("test", 3)):
        for number, path in enumerate(data.paths(split)[:count]):
            shutil.copy(path, test / f"{split}{number}.jpg")
    return test


def settings_of(data, run, **more):
    return TrainingSettings(data, run, batch_size=8, openvino=False, **more)


def answers_one_by_one(folders, paths, classes):
    """(N, C), each image by itself, each run's columns found by name."""
    total = np.zeros((len(paths), len(classes)))
    for folder in folders:
        run = open_finished_run(folder)
        model = run.classifier()
        for row, path in enumerate(paths):
            image = read_pixels(path, Frame(SIDE, SIDE))[None].astype("float32")
            for name, share in zip(run.classes, np.asarray(model(image))[0], strict=True):
                total[row, classes.index(name)] += share / len(folders)
    return total


def test_the_mean_of_the_runs_is_asked_once(drawn_data, runs, tmp_path, monkeypatch):
    data = open_data_set(drawn_data)
    teachers = (runs / "one", runs / "two")
    settings = settings_of(drawn_data, tmp_path / "run", teacher=teachers, teacher_weight=0.3)
    teaching = taught_by(settings, data)
    paths = data.paths("train")
    expected = answers_one_by_one(teachers, paths, data.classes)
    np.testing.assert_allclose(teaching.answers, expected, atol=1e-5)
    assert teaching.about.runs == [str(folder) for folder in teachers]
    (tmp_path / "run").mkdir()
    teaching.save(tmp_path / "run")
    monkeypatch.setattr("finegrain.training.teacher_sources.predict_probabilities", None)
    again = taught_by(settings, data)
    np.testing.assert_array_equal(again.answers, teaching.answers)
    assert again.about == teaching.about
    assert taught_before(tmp_path / "run", again.about).answers.shape == expected.shape
    # A damaged file is made anew by the training, and refused by whoever cannot.
    (tmp_path / "run" / TEACHING).write_bytes(b"PK" * 40)
    assert read_teaching(tmp_path / "run", again.about) is None
    with pytest.raises(UserError, match="gone or damaged"):
        taught_before(tmp_path / "run", again.about)
    with pytest.raises(TypeError):
        taught_by(settings, data)


@pytest.mark.parametrize("weight,temperature", [(0.4, 1.0), (1.0, 3.0), (0.7, 0.5)])
def test_targets_are_the_labels_and_the_softened_answers_mixed(weight, temperature):
    rng = np.random.default_rng(0)
    answers = rng.dirichlet(np.ones(5), 7).astype("float32")
    answers[0] = [1, 0, 0, 0, 0]
    labels = rng.integers(0, 5, 7)
    none = np.array([], str)
    teaching = Teaching(RunTeaching(digest="", runs=[]), answers, none, none)
    targets = teaching.targets(labels, weight, temperature)
    assert targets.dtype == np.float32
    for row, label, found in zip(answers, labels, targets, strict=True):
        powers = [max(float(share), 1e-7) ** (1 / temperature) for share in row]
        expected = [weight * power / sum(powers) for power in powers]
        expected[label] += 1 - weight
        assert found == pytest.approx(expected, abs=1e-6)
    assert teaching.targets(labels, 0.0, temperature) is None


def test_photographs_the_teacher_is_sure_of_become_training_images(
    drawn_data, runs, photographs, tmp_path, capsys
):
    data, teachers = open_data_set(drawn_data), (runs / "one", runs / "two")
    unlike = [photographs / f"{number}.jpg" for number in range(12)]
    answers = answers_one_by_one(teachers, unlike, data.classes)
    threshold = float(np.sort(answers.max(axis=1))[5] - 1e-4)
    settings = settings_of(
        drawn_data,
        tmp_path / "run",
        teacher=teachers,
        pseudo_labels=photographs,
        pseudo_threshold=threshold,
        teacher_weight=0.5,
    )
    teaching = taught_by(settings, data)
    said = capsys.readouterr().out
    assert "left out 5 of 20 photographs" in said and "held-out images of" in said
    assert "left out 1 of 20 photographs" in said and "training images of" in said
    sure = [path for path, row in zip(unlike, answers, strict=True) if row.max() >= threshold]
    assert len(sure) == 7 == teaching.about.images
    assert teaching.paths.tolist() == [str(path) for path in sure]
    taught = teaching.data(data)
    assert taught.paths("train") == data.paths("train") + sure
    guesses = [int(row.argmax()) for row in answers if row.max() >= threshold]
    assert taught.labels("train").tolist() == data.labels("train").tolist() + guesses
    assert taught.paths("valid") == data.paths("valid") and taught.digest == data.digest

    feed = Feed(data, Frame(SIDE, SIDE), 8).taught(teaching, 0.5, 1.0)
    batches = feed.training(PLAIN)
    chosen = np.array([0, len(data.paths("train")), len(taught.paths("train")) - 1])
    expected = answers_one_by_one(teachers, [batches.paths[row] for row in chosen], data.classes)
    expected = 0.5 * expected + 0.5 * np.eye(4)[taught.labels("train")[chosen]]
    np.testing.assert_allclose(batches.targets(chosen), expected, atol=1e-5)
    assert set(feed.checksums()) >= set(sure)

    (tmp_path / "run").mkdir()
    teaching.save(tmp_path / "run")
    assert taught_by(settings, data).paths.tolist() == teaching.paths.tolist()
    # Other photographs, another teaching.
    fewer = shutil.copytree(photographs, tmp_path / "fewer")
    (fewer / "3.jpg").unlink()
    other = taught_by(replace(settings, pseudo_labels=fewer), data)
    assert other.about.digest != teaching.about.digest


def test_a_file_of_probabilities_teaches_too(drawn_data, photographs, tmp_path):
    """As a merged model's, whose rows stand by id and whose probabilities were clipped."""
    data = open_data_set(drawn_data)
    ids = [path.stem for path in data.paths("train")] + [str(number) for number in range(12)]
    ids.append("broken")
    shares = np.random.default_rng(1).dirichlet(np.full(4, 0.3), len(ids)).clip(0.005, 0.995)
    # The model is sure of a photograph that cannot be read.
    shares[-1] = [0.995, 0.005, 0.005, 0.005]
    order = np.random.default_rng(2).permutation(len(ids))
    names = ["id", *data.classes[::-1]]
    lines = [[ids[row], *shares[row, ::-1].astype(str)] for row in order]
    file = tmp_path / "merged.csv"

    def write(*rows):
        file.write_text("".join(",".join(row) + "\n" for row in rows))

    write(names, *lines)
    flags = {"teacher": (file,), "pseudo_labels": photographs, "pseudo_threshold": 0.9}
    settings = settings_of(drawn_data, tmp_path / "run", **flags)
    teaching = taught_by(replace(settings, teacher_weight=0.5), data)
    expected = shares / shares.sum(axis=1, keepdims=True)
    own = len(data.paths("train"))
    np.testing.assert_allclose(teaching.answers[:own], expected[:own], atol=1e-6)
    sure = [row for row in range(own, own + 12) if expected[row].max() >= 0.9]
    assert 0 < len(sure) < 12
    assert [path.split("/")[-1].split(".")[0] for path in teaching.paths] == [
        ids[row] for row in sure
    ]
    np.testing.assert_allclose(teaching.answers[own:], expected[sure], atol=1e-6)
    # Where labels are not mixed, training images are not asked for.
    write(names, *[line for line in lines if line[0].isdigit() or line[0] == "broken"])
    assert len(taught_by(settings, data).answers) == len(sure)

    def refused(words, *rows, **more):
        write(*rows)
        with pytest.raises(UserError, match=words):
            taught_by(replace(settings, **more), data)

    refused("has no row for", names, *lines[:-1], teacher_weight=0.5)
    refused("no table `id,<class>,...`", ["id", "a"], ["1", "much"])
    refused("tells other classes apart", ["id", "a", "b"], ["1", "1", "0"])
    refused("are no probabilities", names, ["1", "-1", "2", "0", "0"])
    refused("two rows of", names, *lines, lines[0])


def test_mistakes_are_one_sentence(drawn_data, runs, photographs, tmp_path):
    def refused(words, objective="softmax", **flags):
        settings = settings_of(drawn_data, tmp_path / "run", **flags)
        with pytest.raises(UserError, match=words):
            check_teacher(settings, find_objective(objective))
            taught_by(settings, open_data_set(drawn_data))

    one = (runs / "one",)
    refused("--pseudo-labels needs a --teacher", pseudo_labels=photographs)
    refused("--teacher-weight needs a --teacher", teacher_weight=0.5)
    refused("has nothing to teach", teacher=one)
    refused("is the run itself", teacher=(tmp_path / "run",), teacher_weight=0.5)
    refused("compares pairs", "multi-loss", teacher=one, teacher_weight=0.5)
    refused("no run folder", teacher=(tmp_path / "none",), teacher_weight=0.5)
    gone = tmp_path / "gone"
    refused("no folder .*gone; --pseudo-labels takes", teacher=one, pseudo_labels=gone)
    known = tmp_path / "known"
    known.mkdir()
    shutil.copy(open_data_set(drawn_data).paths("train")[0], known)
    refused("no photograph that .* lacks", teacher=one, pseudo_labels=known)
    sure = {"teacher": one, "pseudo_labels": photographs, "pseudo_threshold": 0.999999}
    refused("sure of none of the photographs", **sure)
    pets = make_run(tmp_path / "pets", drawn_data, "softmax", ["a", "b", "c", "d"])
    refused("tells other classes apart", teacher=(pets,), teacher_weight=0.5)


def test_a_taught_run_says_so_and_goes_on_with_the_same_answers(
    drawn_data, runs, photographs, tmp_path, script_here, monkeypatch
):
    teacher = ("--teacher", runs / "one", runs / "two", "--teacher-weight", "0.5")
    teacher += ("--teacher-temperature", "2", "--pseudo-labels", photographs)
    teacher += ("--pseudo-threshold", "0.3")

    def train(*flags):
        tiny = ("--backbone", "mobilenet_v2_0.35", "--weights", "none", "--image-size", "32")
        tiny += ("--frozen-epochs", "2", "--unfrozen-epochs", "0", "--no-openvino")
        run = ("--data", drawn_data, "--run", tmp_path / "run")
        return script_here("single_model.py", *run, *tiny, *flags)

    keep = EpochKeeper.on_epoch_end
    with monkeypatch.context() as patched:
        patched.setattr(EpochKeeper, "on_epoch_end", lambda *of: _stop_after(keep, *of))
        assert train(*teacher)[0] == 130
    taught = (tmp_path / "run" / TEACHING).read_bytes()
    status, out, err = train(*teacher)
    assert status == 0 and "going on after epoch 1" in out and "answers for" not in out, err
    assert (tmp_path / "run" / TEACHING).read_bytes() == taught
    assert "0.5 of each label is its answer for the plain image, at temperature 2" in out
    assert "with labels guessed by" in out and "not comparable" in out
    assert "stored    embeddings" in out
    # Another teacher, or none, is another training.
    status, _, err = train("--teacher-weight", "0.5", "--teacher", runs / "one")
    assert status == 2 and "teacher content" in err

    facts = {name: value for name, value, _ in run_facts(read_run(tmp_path / "run"))}
    assert "with labels guessed by the teacher" in facts["Pseudo-labels"]
    assert facts["Teacher"] == f"{runs / 'one'}, {runs / 'two'}"
    session = reopen_session(RunFolder.open(tmp_path / "run"), workers=1)
    teaching = taught_before(session.run.path, session.run.config.teaching)
    assert session.feed.data.paths("train") == teaching.data(session.data).paths("train")
    assert session.feed.soft.shape == (len(teaching.answers), 4)


def _stop_after(keep, *of):
    keep(*of)
    raise KeyboardInterrupt
