"""`python -m goodput`, the same as the command `goodput`."""

from goodput.cli import main

if __name__ == "__main__":
    main()
