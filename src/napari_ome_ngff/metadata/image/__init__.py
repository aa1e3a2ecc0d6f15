"""What the JSON of one image means."""
