"""Commands on plain arrays: options in, a record of plain data out, and its text."""
