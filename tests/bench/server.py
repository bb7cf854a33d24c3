"""One door of the bench on the product's own server: ``python -m tests.bench.server NAME STATE_URL DATA_DIR PORT N``."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from bot.catalog import load_flows, load_words
from bot.web.serve import Place, serve
from tests.bench import doors

if __name__ == "__main__":
    name, state_url, data_dir, port, processes = sys.argv[1:]
    logging.disable(logging.WARNING)
    if name == "ours":  # as bot/web/serve.py does: before the fork
        load_flows(), load_words()
    sys.exit(
        serve(
            lambda: {**doors.DOORS, **doors.AT_A_RATE}[name](state_url, Path(data_dir)),
            Place(port=int(port), processes=int(processes)),
        )
    )
