"""Files of weights: one reader a format, none of which executes anything that a file holds."""
