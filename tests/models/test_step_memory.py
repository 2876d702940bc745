"""What a training step is likely to take, against layers counted by hand and measured peaks."""

import json
import subprocess
import sys

import keras
import pytest
from commands import command

from finegrain.models.backbone_table import find_backbone
from finegrain.models.bird_models import bird_models
from finegrain.models.classifier import softmax_model
from finegrain.models.step_memory import CONTEXT_BYTES, GRAPH_BYTES, step_memory

# Of one image, in float32.
IMAGE, FIRST, SECOND, EMBEDDING, CLASSES = 4 * 32 * 32 * 3, 4 * 16 * 16 * 8, 4 * 8 * 8 * 4, 16, 12
CONVOLUTIONS = 2 * 2 * 3 * 8, 2 * 2 * 8 * 4
NORM, DENSE = 2 * 8, 4 * 3 + 3


def model():
    """Convolution, BatchNormalization, ReLU, convolution; a mean and a softmax of 3 classes."""
    image = keras.Input((32, 32, 3))
    hidden = keras.layers.Conv2D(8, 2, strides=2, use_bias=False)(image)
    hidden = keras.layers.ReLU()(keras.layers.BatchNormalization()(hidden))
    hidden = keras.layers.Conv2D(4, 2, strides=2, use_bias=False)(hidden)
    backbone = keras.Model(image, hidden, name="backbone")
    return softmax_model(backbone, find_backbone("mobilenet_v2"), 3, 0.0)


def fixed(learning: int, largest: int, copies: int, passing: int) -> float:
    """Of five backbone layers; numbers of weights."""
    all_weights = sum(CONVOLUTIONS) + 2 * NORM + DENSE
    numbers = all_weights + copies * learning + passing * largest
    return CONTEXT_BYTES + 5 * GRAPH_BYTES + 4 * numbers


def test_a_head_alone_learns_on_what_passes_frozen():
    memory = step_memory(model(), 5, "adam")
    assert memory.fixed == fixed(DENSE, 12, 3, 3)
    # The images, the convolution's and the BatchNormalization's outputs.
    assert memory.passing == IMAGE + FIRST + FIRST
    # The dense layer got the embedding and gave the classes; a pair of gradients beside them.
    assert memory.kept == EMBEDDING + CLASSES + (EMBEDDING + EMBEDDING)


def test_norms_need_what_they_got_only_where_they_learn():
    standing = step_memory(model(), 0, "sgd")
    learning = step_memory(model(), 0, "sgd", train_batch_norm=True)
    assert learning.kept - standing.kept == FIRST
    assert learning.fixed - standing.fixed == 4 * 2 * NORM
    weights = sum(CONVOLUTIONS) + DENSE
    assert standing.fixed == fixed(weights, max(CONVOLUTIONS), 2, 1)
    # The images, what the ReLU gave, and a pair of gradients; the head's few numbers.
    assert standing.kept == pytest.approx(IMAGE + FIRST + (IMAGE + IMAGE), rel=0.1)


def test_an_average_is_one_more_copy():
    plain, averaged = (step_memory(model(), 0, "adamw", averaged=each) for each in (False, True))
    assert averaged.fixed - plain.fixed == 4 * (sum(CONVOLUTIONS) + DENSE)


def test_the_largest_batch_fits_and_one_more_does_not():
    memory = step_memory(model(), 0, "adam")
    most = memory.at(7)
    assert memory.largest_batch(most) == 7
    assert memory.largest_batch(most - 1) == 6
    assert memory.largest_batch(memory.fixed / 2) == 0


def measured(**flags):
    words = [word for name, value in flags.items() for word in (f"--{name}", value)]
    done = subprocess.run(
        command("benchmarks/side_by_side/step_peak.py", *words),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.thorough
@pytest.mark.skipif(sys.platform != "linux", reason="what a process takes differs by platform")
@pytest.mark.parametrize("name", sorted(bird_models()))
def test_estimates_are_near_measured_peaks_of_the_bird_models(name):
    told = measured(**{"model": name, "image-size": 96, "batch-size": 12})
    assert 1 / 1.5 <= told["estimate"] / told["peak"] <= 1.5


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="what a process takes differs by platform")
@pytest.mark.parametrize(
    "recipe",
    [
        # At their batch and image size: the stages of the dogs' recipe, stage 2 as first coded
        # and modern, and the fine-tuning of the flowers' recipe.
        {"model": "xception", "unfreeze-from": "none"},
        {"model": "xception", "unfreeze-from": "105", "optimizer": "sgd"},
        *(
            pytest.param(recipe, marks=pytest.mark.thorough)
            for recipe in (
                {
                    "model": "xception",
                    "unfreeze-from": "105",
                    "optimizer": "sgd",
                    "batch-size": 128,
                },
                {"model": "xception", "unfreeze-from": "105", "optimizer": "adamw"},
                {"model": "resnet50", "unfreeze-from": "0"},
            )
        ),
    ],
    ids=lambda recipe: "-".join(map(str, recipe.values())),
)
def test_estimates_are_near_measured_peaks_at_every_recipes_default(recipe):
    told = measured(**recipe, steps=1)
    assert 1 / 1.5 <= told["estimate"] / told["peak"] <= 1.5
