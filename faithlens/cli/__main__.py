"""`python -m faithlens.cli`: the command line."""

from faithlens.cli.main import main

main()
