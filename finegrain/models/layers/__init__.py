"""The registered layers: importing this package is all that a saved model needs to load."""

from finegrain.models.layers.preprocess import Preprocess
from finegrain.models.layers.random_affine import RandomAffine
from finegrain.models.layers.squared_difference import SquaredDifference
from finegrain.models.layers.take_partner import TakePartner

__all__ = ["Preprocess", "RandomAffine", "SquaredDifference", "TakePartner"]
