"""`python -m vidaug_cli`."""

from vidaug_cli.main import main

if __name__ == "__main__":
    main()
