"""Run the command line as a module: python -m multiplex."""

from multiplex.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
