"""What stands on an embedding: one idea a file."""
