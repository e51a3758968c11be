"""The benchmark of directions: generators of known truth, and anyone's method scored on them."""
