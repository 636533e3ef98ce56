"""`python -m jangbu` is the command `jangbu`."""

from jangbu.cli import main

main()
