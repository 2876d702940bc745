"""Photograph-like images, drawn: for the demo and the tests."""
