"""Pictures of directions: walks of codes, grids, animations, and the explorer page."""
