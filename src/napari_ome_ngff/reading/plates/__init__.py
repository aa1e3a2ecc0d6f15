"""Plates and wells, as lazy mosaics of their fields."""
