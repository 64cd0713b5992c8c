"""What happens to a clip: recipes, how they are read, and one on a batch in memory."""
