"""Optimizers of a stage: rates for groups of layers, averages of weights, batches in parts."""
