"""VGG16 without its last pooling takes VGG16's weights and gives its last convolution's output."""

import keras
import numpy as np

from finegrain.models.backbone import build_backbone
from finegrain.models.backbone_table import find_backbone


def test_it_takes_both_kinds_of_vgg16s_weights_files(tmp_path):
    keras.utils.set_random_seed(0)
    whole = build_backbone(find_backbone("vgg16"), "none", (48, 48))
    whole.save_weights(tmp_path / "vgg16.weights.h5")
    whole.save(tmp_path / "vgg16.h5")  # as keras.applications ships them
    image = np.random.default_rng(0).uniform(-100, 100, (1, 48, 48, 3)).astype("float32")
    expected = keras.Model(whole.input, whole.get_layer("block5_conv3").output)(image)
    for name in ("vgg16.weights.h5", "vgg16.h5"):
        cut = build_backbone(find_backbone("vgg16_conv5"), str(tmp_path / name), (48, 48))
        assert cut.output_shape == (None, 3, 3, 512)
        features = np.asarray(cut(image))
        assert features.std() > 0
        np.testing.assert_allclose(features, expected, rtol=1e-5, atol=1e-6)
