"""Embeddings of several backbones: joined by path, one small classifier on all of them."""
