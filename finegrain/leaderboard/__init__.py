"""A search for the best answers to a contest within so many minutes."""
