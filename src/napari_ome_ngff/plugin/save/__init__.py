"""From layers to a save."""
