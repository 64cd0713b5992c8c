"""Pictures: sheets, animations, curves, heat maps, text."""
