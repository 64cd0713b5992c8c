"""What this machine makes of these videos: each stage measured alone, the whole, and which stage limits."""
