"""Metadata documents, each fetched once and together."""
