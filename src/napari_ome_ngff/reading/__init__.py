"""From documents to images and collections: lazily, placed by their transforms."""
