"""Faults of the machine and of files, at random moments and places."""
