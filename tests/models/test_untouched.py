"""A model handed to a function comes back untouched: it can be saved and cloned as before."""

import keras
import numpy as np
import pytest
from finished_runs import SIDE, small_backbone

from finegrain.evaluation.answer_images import same_class_scores
from finegrain.explain.grad_cam import GradCam, PairCam
from finegrain.exporting.export import served_model
from finegrain.features.cut import (
    cut_above_backbone,
    cut_at_boundary,
    cut_at_embedding,
    cut_at_feature_map,
)
from finegrain.images.augmentation import Augmentation
from finegrain.models import layers  # noqa: F401  registers what a saved model is made of
from finegrain.models.backbone_table import find_backbone
from finegrain.models.bird_models import bird_models
from finegrain.models.classifier import (
    answering_model,
    classifier,
    embedder,
    representing_model,
    softmax_model,
)
from finegrain.models.image_heads import find_head, listed_heads
from finegrain.models.model_precision import in_full_precision
from finegrain.models.multi_loss import multi_loss_model, same_class, two_towers
from finegrain.training.objectives import find_objective
from finegrain.training.optimizers.accumulated import model_in_parts
from finegrain.training.route import augmenting

# Head, width of the layer before the softmax, and the dropout in front of that.
BIRDS = {(bird.head, 8, bird.hidden_dropout) for bird in bird_models().values()}
OTHERS = {"plain"} | set(listed_heads()) - {head for head, *_ in BIRDS}
HEADS = BIRDS | {(head, 0, None) for head in OTHERS}

BUILDERS = {
    "cut at the embedding": cut_at_embedding,
    "cut at the feature map": cut_at_feature_map,
    "cut above the backbone": cut_above_backbone,
    "cut in the backbone": lambda model: cut_at_boundary(model, 3),
    "classifier": classifier,
    "embedder": embedder,
    "answering": answering_model,
    "export of embeddings": representing_model,
    "served": lambda model: served_model(classifier(model)),
    "full precision": in_full_precision,
    "augmenting": lambda model: augmenting(model, Augmentation(rotation=10, erasing=0.5)),
    "batches in parts": lambda model: model_in_parts(model, 2, {"loss": "mse"}),
    "Grad-CAM": GradCam,
}
OF_PAIRS = {
    "same class": same_class,
    "two towers": two_towers,
    "pair scores": same_class_scores,
    "pair CAM": PairCam,
}


@pytest.mark.parametrize("assemble", [softmax_model, multi_loss_model])
@pytest.mark.parametrize("head,hidden,hidden_dropout", sorted(HEADS, key=str))
def test_no_part_of_a_model_changes_it(assemble, head, hidden, hidden_dropout, tmp_path):
    keras.utils.set_random_seed(1)
    model = assemble(
        small_backbone(),
        find_backbone("mobilenet_v2"),
        3,
        hidden=hidden,
        head=find_head(head, 32 if head == "compact_bilinear" else 0),
        hidden_dropout=hidden_dropout,
    )
    model.compile("sgd", "mse")
    model.optimizer.build(model.trainable_variables)
    config, answers = model.get_config(), answered(model)
    for name, build in (BUILDERS | (OF_PAIRS if assemble is multi_loss_model else {})).items():
        build(model)
        assert model.get_config() == config, name
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    cloned = keras.models.clone_model(model)
    cloned.set_weights(model.get_weights())
    for other in (model, loaded, cloned):
        for one, same in zip(answers, answered(other), strict=True):
            np.testing.assert_allclose(one, same, atol=1e-6)


def test_no_part_of_a_model_of_all_pairs_changes_it():
    heads = {"head": find_head("plain", pooling="gem"), "neck": "bn"}
    spec = find_backbone("mobilenet_v2")
    model = find_objective("triplet").model(small_backbone(), spec, 3, **heads)
    model.compile("sgd", "mse")
    model.optimizer.build(model.trainable_variables)
    config, answers = model.get_config(), answered(model)
    for name, build in BUILDERS.items():
        build(model)
        assert model.get_config() == config, name
    find_objective("triplet").finished(model)
    assert model.get_config() == config
    for one, same in zip(answers, answered(model), strict=True):
        np.testing.assert_array_equal(one, same)


def test_a_backbone_that_takes_its_input_past_the_cut_comes_back_untouched():
    image = keras.Input((SIDE, SIDE, 3))
    hidden = keras.layers.Conv2D(3, 3, padding="same")(image)
    hidden = keras.layers.Conv2D(3, 3, padding="same")(hidden)
    backbone = keras.Model(image, keras.layers.Concatenate()([hidden, image]), name="backbone")
    model = softmax_model(backbone, find_backbone("mobilenet_v2"), 3)
    config = model.get_config()
    cut = cut_at_boundary(model, 2)
    assert len(cut.kinds) == 2
    assert model.get_config() == config


def answered(model):
    images = np.random.default_rng(0).integers(0, 256, (4, SIDE, SIDE, 3)).astype("float32")
    inputs = {"image": images, "partner": np.array([1, 0, 3, 2], "int32")}
    pairs = len(model.inputs) > 1
    return keras.tree.flatten(model.predict_on_batch(inputs if pairs else images))
