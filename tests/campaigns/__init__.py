"""Longer campaigns, run by hand: `python -m tests.campaigns.NAME`."""
