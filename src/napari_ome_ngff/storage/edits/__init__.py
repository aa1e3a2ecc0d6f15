"""Changes in place: locks, and the journal of an edit."""
