"""What the JSON means: a group's attributes to frozen nouns and back. Nothing but Python is needed."""
