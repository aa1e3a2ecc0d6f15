"""Chunks fetched, decoded and cached; what lazy data come from."""
