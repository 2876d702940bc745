"""What stands on an embedding: which class, and the same class or not."""
