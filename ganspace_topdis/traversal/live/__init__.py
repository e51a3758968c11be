"""The live explorer page: a local server that draws the frames that the page requests."""
