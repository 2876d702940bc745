"""Pairs, stages, and the way a stage is trained."""
