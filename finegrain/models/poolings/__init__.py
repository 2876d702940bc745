"""From a feature map to an embedding: one way a file."""
