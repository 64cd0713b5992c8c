"""`vidaug predict` and `vidaug cam`: a trained network on videos and shards."""
