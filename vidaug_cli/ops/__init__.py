"""Augmentations as tensor mathematics: torch and numpy, no files."""
