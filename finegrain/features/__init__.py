"""What a model computes below its trained layers: cut off, computed once, stored, read back."""
