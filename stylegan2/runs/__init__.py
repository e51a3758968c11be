"""A run of `discover` in its folder: the plan of its time, search, scores, pictures, comparison, model card."""
