"""What touches the disk: folder layouts, manifests, videos, shards."""
