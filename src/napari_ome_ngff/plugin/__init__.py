"""napari's side of the house: reader, writer, dock widget, sample data. Translation only."""
