"""Backbones (a table), heads (one idea a file) and the models assembled from them."""
