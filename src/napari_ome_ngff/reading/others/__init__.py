"""What others keep beside images, or in their place."""
