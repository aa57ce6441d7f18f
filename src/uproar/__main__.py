"""``python -m uproar`` is ``uproar``."""

from uproar.cli import main

main()
