"""What the panel that saves layers is made of."""
