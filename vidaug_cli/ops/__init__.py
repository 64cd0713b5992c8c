"""Tensor mathematics: imports torch and numpy only."""
