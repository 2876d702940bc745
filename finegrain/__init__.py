"""Fine-grained image classification with Keras: the library under the numbered scripts.

Imports point one way, down this list: datasets, images, models, training, evaluation.
"""
