"""Pictures of directions: walks of codes, grids, animations, and a page to explore them."""
