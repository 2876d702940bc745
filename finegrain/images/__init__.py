"""From a file to pixels: decode, augment, load."""
