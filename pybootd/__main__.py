"""C{python -m pybootd}: the console script."""

from pybootd.cli import main

if __name__ == "__main__":
    main()
