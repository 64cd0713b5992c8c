"""Scores of videos, what they are worth, and how they are handed in."""
