"""What stands on an embedding: which class, and the same class or not."""

# Names of layers and outputs, here for those who do not load Keras.
EMBEDDING, CATEGORY, SAME_CLASS = "embedding", "category", "same_class"
