"""Where to open from, and where to save to."""
