"""Temporal video augmentation with soft labels, from raw videos to HDF5 shards."""
