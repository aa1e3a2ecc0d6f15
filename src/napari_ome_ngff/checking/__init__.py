"""What other programs will refuse of a file: the rules of the specification, as strict as they are meant."""
