"""`vidaug export`: the clips of shards as files that other libraries read."""
