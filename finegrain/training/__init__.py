"""Pairs, stages and the run folder."""
