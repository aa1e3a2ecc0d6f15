"""The command line ``ome-ngff``."""
