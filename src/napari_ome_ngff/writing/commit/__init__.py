"""All or nothing: folders, buckets, single files."""
