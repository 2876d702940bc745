"""What is kept of the answers to labelled images."""

import numpy as np
import pytest

from finegrain.datasets.manifest import open_data_set
from finegrain.evaluation import answer_images
from finegrain.evaluation.labelled_images import split_images
from finegrain.frame import Frame
from finegrain.models.backbone import build_backbone
from finegrain.models.backbone_table import find_backbone
from finegrain.models.classifier import softmax_model


@pytest.mark.parametrize(("most_numbers", "kept"), [(50_000_000, 24), (5 * 1280 + 7, 5)])
def test_wide_embeddings_are_kept_of_few_images(most_numbers, kept, drawn_data, monkeypatch):
    monkeypatch.setattr(answer_images, "MOST_NUMBERS", most_numbers)
    spec, data = find_backbone("mobilenet_v2_0.35"), open_data_set(drawn_data)
    model = softmax_model(build_backbone(spec, "none", (32, 32)), spec, len(data.classes))
    images = split_images(data, "train")
    (answered,) = answer_images.answer_model(model, [images], Frame(32, 32), openvino=False)
    assert answered.embeddings.shape == (kept, 1280)
    assert len(answered.compared) == kept
    assert len(answered.images.paths) == len(images.paths) == 24
    assert np.isin(answered.compared, np.arange(24)).all()
