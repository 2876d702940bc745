"""Every backbone by name: what builds it, the input it expects, where fine-tuning starts."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import keras

from finegrain.errors import no_such
from finegrain.models.networks import XCEPTION_SMALL_WEIGHTS, VGG16Conv5, XceptionSmall

# What an unlisted backbone unfreezes: the last fifth of its layers, as 105 of 132 in Xception.
DEFAULT_FROZEN_SHARE = 0.8


@dataclass(frozen=True)
class BackboneSpec:
    """One row of the table, by the name that is typed after `--backbone`.

    Attributes:
        build: called with `weights`, `input_shape` and `arguments`.
        image_size: side of the square input it was pretrained at, in pixels.
        preprocessing: mode of `finegrain.models.layers.Preprocess`.
        unfreeze_from: first layer that stage 2 trains, a name; None takes the last fifth.
        more_from: an earlier one, for about twice as many blocks; None where none is known.
        scales_with_weights: `build` adds a scaling of the input only with ImageNet weights.
        shipped_weights: a file that comes with the project, where there are no ImageNet weights.
    """

    name: str
    build: Callable[..., keras.Model]
    image_size: int
    preprocessing: str
    unfreeze_from: str | None = None
    arguments: dict[str, Any] = field(default_factory=lambda: {"include_top": False})
    scales_with_weights: bool = False
    shipped_weights: str | None = None
    more_from: str | None = None


def listed_backbones() -> dict[str, BackboneSpec]:
    """The backbones with settings of their own, by name."""
    apps = keras.applications
    narrow = {"include_top": False, "alpha": 0.35}
    rows = [
        BackboneSpec(
            "xception",
            apps.Xception,
            299,
            "tf",
            "block12_sepconv1_act",
            more_from="block10_sepconv1_act",
        ),
        BackboneSpec(
            "xception_small",
            XceptionSmall,
            128,
            "tf",
            "block12_sepconv1_act",
            {},
            shipped_weights=XCEPTION_SMALL_WEIGHTS,
            more_from="block10_sepconv1_act",
        ),
        BackboneSpec("inception_v3", apps.InceptionV3, 299, "tf", "mixed8", more_from="mixed6"),
        BackboneSpec("inception_resnet_v2", apps.InceptionResNetV2, 299, "tf", "mixed_7a"),
        BackboneSpec("resnet50", apps.ResNet50, 224, "caffe", "conv5_block1_1_conv"),
        BackboneSpec("vgg16", apps.VGG16, 224, "caffe", "block5_conv1"),
        BackboneSpec("vgg16_conv5", VGG16Conv5, 224, "caffe", "block5_conv1", {}),
        *(
            BackboneSpec(
                f"efficientnet_b{number}",
                getattr(apps, f"EfficientNetB{number}"),
                size,
                "none",
                "block6a_expand_conv",
                scales_with_weights=True,
                more_from="block5a_expand_conv",
            )
            for number, size in enumerate((224, 240, 260, 300, 380))
        ),
        *(
            BackboneSpec(
                name,
                apps.MobileNetV2,
                224,
                "tf",
                "block_13_expand",
                arguments,
                more_from="block_10_expand",
            )
            for name, arguments in (
                ("mobilenet_v2", {"include_top": False}),
                ("mobilenet_v2_0.35", narrow),
            )
        ),
        BackboneSpec("densenet121", apps.DenseNet121, 224, "torch", "conv5_block1_0_bn"),
    ]
    return {row.name: row for row in rows}


def fed_with(spec: BackboneSpec, pixels: str) -> BackboneSpec:
    """A backbone that sees pixels as it was pretrained to (`own`), 0 to 1 (`unit`), or `raw`."""
    mode = {"own": spec.preprocessing, "unit": "unit", "raw": "none"}[pixels]
    return replace(spec, preprocessing=mode)


def find_backbone(name: str) -> BackboneSpec:
    """The backbone of a name in the table or in `keras.applications`, or a `UserError`.

    Case, `_` and `-` do not matter (`ResNet50V2`, `resnet50_v2`).
    """
    listed = {_plain(key): row for key, row in listed_backbones().items()}
    others = {_plain(key): key for key in _application_names()}
    wanted = _plain(name)
    if wanted in listed:
        return listed[wanted]
    if wanted in others:
        application = others[wanted]
        return BackboneSpec(
            name=wanted,
            build=getattr(keras.applications, application),
            image_size=_default_image_size(application),
            preprocessing=_family_preprocessing(application),
            scales_with_weights=application.startswith("EfficientNetB"),
        )
    known = {**others, **{key: row.name for key, row in listed.items()}}
    raise no_such("backbone", name, wanted, known)


def _plain(name: str) -> str:
    return re.sub(r"[_\-\s]", "", name).lower()


def _application_names() -> list[str]:
    applications = keras.applications
    return [
        name
        for name in dir(applications)
        if callable(getattr(applications, name))
        and "include_top" in inspect.signature(getattr(applications, name)).parameters
    ]


def _default_image_size(application: str) -> int:
    """The resolution the weights were made at, as `keras.applications` documents it."""
    sizes = {
        "EfficientNetB5": 456,
        "EfficientNetB6": 528,
        "EfficientNetB7": 600,
        "EfficientNetV2B1": 240,
        "EfficientNetV2B2": 260,
        "EfficientNetV2B3": 300,
        "EfficientNetV2S": 384,
        "EfficientNetV2M": 480,
        "EfficientNetV2L": 480,
        "NASNetLarge": 331,
    }
    return sizes.get(application, 224)


def _family_preprocessing(application: str) -> str:
    """The `Preprocess` mode of an application's family."""
    if application.startswith(("EfficientNet", "MobileNetV3", "ConvNeXt")):
        return "none"
    if application.startswith("DenseNet"):
        return "torch"
    if application.startswith("VGG") or re.fullmatch(r"ResNet\d+", application):
        return "caffe"
    return "tf"
