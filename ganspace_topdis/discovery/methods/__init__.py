"""What a search can lower, one file a method: each moves the same orthonormal matrix (see `discovery.loop`)."""
