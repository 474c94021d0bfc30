"""Run Multiplex from an uninstalled checkout: python cli.py run eldercare."""

from multiplex.cli import main

main()
