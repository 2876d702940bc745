"""Embeddings: computed, exported, read back, compared."""
