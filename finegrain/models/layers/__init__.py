"""The registered layers: importing this package is all that a saved model needs to load."""

from finegrain.models.layers.class_prior import ClassPrior
from finegrain.models.layers.feature_maps import (
    ChannelStatistics,
    GeneralizedMean,
    OuterProduct,
    RelativeToLargest,
    SignedSquareRoot,
    TensorSketch,
    UnitLength,
)
from finegrain.models.layers.pairs import SquaredDifference, TakePartner
from finegrain.models.layers.preprocess import Preprocess
from finegrain.models.layers.random_changes import RandomAffine, RandomColour, RandomErasing

__all__ = [
    "ChannelStatistics",
    "ClassPrior",
    "GeneralizedMean",
    "OuterProduct",
    "Preprocess",
    "RandomAffine",
    "RandomColour",
    "RandomErasing",
    "RelativeToLargest",
    "SignedSquareRoot",
    "SquaredDifference",
    "TakePartner",
    "TensorSketch",
    "UnitLength",
]
