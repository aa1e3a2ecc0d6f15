"""What will be written, before the first byte."""
