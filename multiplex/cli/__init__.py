"""The command line. Results go to stdout, progress and errors to stderr.

`app` holds the commands, `run` what `multiplex run` does, `live` what is seen meanwhile, `show` how
results are printed, `checks` what validate and doctor look at, `starter` what init writes.
"""

__all__ = ["main"]


def main() -> None:
    """Run the command line: what the console script `multiplex` calls."""
    from multiplex.cli.app import app

    app()
