"""The explorer page live: a server on this machine that draws what the page asks for."""
