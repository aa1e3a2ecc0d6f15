"""Work on what is there: paint, correct metadata, cut a part out, without copying it."""
