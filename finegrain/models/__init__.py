"""Backbones (a table), poolings, heads and the models assembled from them."""
