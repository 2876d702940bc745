"""Fine-grained image classification with Keras: the library under the numbered scripts."""
