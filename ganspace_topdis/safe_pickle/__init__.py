"""Safe readers for pickles and `torch.save` files: nothing in a file is imported, called or executed."""
