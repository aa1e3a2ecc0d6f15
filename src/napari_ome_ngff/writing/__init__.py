"""From DataArrays to files: planned, in one pass, all or nothing."""
