"""Finished models for other runtimes: one format a file."""
