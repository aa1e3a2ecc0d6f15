"""Edit what is there: paint label images, correct metadata."""
