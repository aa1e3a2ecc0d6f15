"""The engine: levels are planned, made block by block, and written in one pass."""
