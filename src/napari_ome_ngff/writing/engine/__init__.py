"""One pass: read, write, reduce, write."""
