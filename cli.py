"""`python cli.py` in a clone is the installed `topdis-gan`; the program itself is `ganspace_topdis/program.py`."""

from ganspace_topdis.program import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
