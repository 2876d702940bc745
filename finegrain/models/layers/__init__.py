"""The registered layers: importing this package is all that a saved model needs to load."""

from finegrain.models.layers.channel_statistics import ChannelStatistics
from finegrain.models.layers.outer_product import OuterProduct
from finegrain.models.layers.preprocess import Preprocess
from finegrain.models.layers.random_changes import RandomAffine, RandomColour
from finegrain.models.layers.relative_to_largest import RelativeToLargest
from finegrain.models.layers.signed_square_root import SignedSquareRoot
from finegrain.models.layers.squared_difference import SquaredDifference
from finegrain.models.layers.take_partner import TakePartner
from finegrain.models.layers.tensor_sketch import TensorSketch
from finegrain.models.layers.unit_length import UnitLength

__all__ = [
    "ChannelStatistics",
    "OuterProduct",
    "Preprocess",
    "RandomAffine",
    "RandomColour",
    "RelativeToLargest",
    "SignedSquareRoot",
    "SquaredDifference",
    "TakePartner",
    "TensorSketch",
    "UnitLength",
]
