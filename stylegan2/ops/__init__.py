"""The operations of the generator: in plain torch, and two of them compiled for GPUs."""
