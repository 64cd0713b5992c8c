"""SlowFast: trained on shards, tested over views, looked into."""
