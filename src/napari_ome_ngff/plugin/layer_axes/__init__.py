"""What the axes of layers are: labelled, named in the viewer, guessed, and said."""
