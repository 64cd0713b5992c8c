"""Which videos a data set has: folder layouts and split files."""
