"""`python -m tfphen` is the same as `tfphen`."""

from tfphen.cli.app import main

main()
