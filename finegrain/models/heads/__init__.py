"""What stands on an embedding: which class, and the same class or not."""

# Names of layers and outputs, here for those who do not load Keras.
CATEGORY, SAME_CLASS = "category", "same_class"
