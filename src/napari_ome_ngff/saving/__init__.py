"""The short way to save: whatever holds an image, in one call."""
