"""``python -m bot``: see cli.py."""

from bot.cli import main

if __name__ == "__main__":
    main()
