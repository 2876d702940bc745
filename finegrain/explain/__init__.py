"""Which part of the picture an answer rests on."""
