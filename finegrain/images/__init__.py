"""From photographs to what a model is fed: pixels, random changes, batches."""
