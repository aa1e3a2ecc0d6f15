"""Reading from servers as they are."""
