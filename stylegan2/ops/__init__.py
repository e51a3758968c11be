"""The operations of the generator, in plain torch: filters and modulated convolutions."""
