"""Measures of labelled answers."""
