"""Photographs on disk: layouts, manifest, duplicates, split."""
