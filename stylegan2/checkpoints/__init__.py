"""Readers of weight files, one per format. None executes anything in a file."""
