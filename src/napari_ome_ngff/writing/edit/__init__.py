"""Change the pixels of an image that is there, without copying it."""
