"""The methods, one file each: `vae.objectives.methods` is their table."""
