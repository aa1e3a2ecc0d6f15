"""Where the bytes are: open, cache, replace."""
