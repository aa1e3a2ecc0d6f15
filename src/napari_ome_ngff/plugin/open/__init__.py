"""From images to layer tuples."""
