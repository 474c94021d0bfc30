"""The command line. Results go to stdout, progress and errors to stderr.

`app` holds the commands, `options` what several of them take, `outcome` how each ends, `run` what
`multiplex run` and `resume` do, `live` and `progress` what is seen meanwhile, `estimate` what a dry run
prints, `show` how results are printed, `checks` what validate looks at, `doctor` what doctor does, `cache`
the commands on the response cache, `starter` what init writes. `graph` holds the commands on moral graphs
(`graph_made`, `graph_given`, `graph_files` and `graph_shown` its parts), `dataset` those on training data
(`dataset_build`, `dataset_dry`, `dataset_progress`, `dataset_folder` and `dataset_audit` its parts), `score`
(printed by
`score_shown`) and `values` what is found in texts and runs, which `texts` reads.
"""

import os
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line: what the console script `multiplex` calls."""
    from multiplex.cli.app import app

    try:
        app()
    except SystemExit as end:
        if end.code == 130:  # whoever pressed Ctrl-C does not wait for a thread that computes
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(130)
        raise
