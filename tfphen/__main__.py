"""`python -m tfphen` is the same as `tfphen`."""

from tfphen.cli import main

main()
