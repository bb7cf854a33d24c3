"""``python -m bot.sandbox``: takes the program's settings, and refuses what is not the sandbox."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

from bot.sandbox.__main__ import config_from
from bot.settings import Settings
from tests.sandbox_stage import unused_port


def test_the_settings_of_the_sandbox_are_the_local_twilios(tmp_path: Path) -> None:
    settings = Settings.load({"SANDBOX": "true", "DATA_DIR": str(tmp_path), "CLINIC_NAME": "Somewhere"})
    config = config_from(settings)
    assert (config.numbers, config.clinic_name) == ((settings.twilio_from,), "Somewhere")
    assert config.auth_token == settings.twilio_auth_tokens[0].get_secret_value()
    assert config.auth_token not in repr(config)
    assert config.country_codes == (1,)


def test_outside_the_sandbox_it_does_not_start(tmp_path: Path) -> None:
    settings = Settings.load({"SANDBOX": "true", "DATA_DIR": str(tmp_path)}).model_copy(update={"sandbox": False})
    with pytest.raises(ValueError, match="only for the sandbox"):
        config_from(settings)


def test_it_serves_the_phone_page_and_stops_when_told(tmp_path: Path) -> None:
    port = unused_port()
    environment = {**os.environ, "SANDBOX": "true", "DATA_DIR": str(tmp_path), "SANDBOX_PORT": str(port)}
    process = subprocess.Popen([sys.executable, "-m", "bot.sandbox"], env=environment, stderr=subprocess.PIPE)
    try:
        page = b""
        end = time.monotonic() + 20
        while not page and time.monotonic() < end and process.poll() is None:
            try:
                with urlopen(f"http://127.0.0.1:{port}/", timeout=2) as answer:
                    page = answer.read()
            except OSError:
                # Another process is starting: asking again is the only sign it gives.
                time.sleep(0.05)
        assert b"A patient's phone" in page
        process.send_signal(signal.SIGTERM)
        _, complaints = process.communicate(timeout=20)
        assert (process.returncode, complaints) == (0, b"")
    finally:
        process.kill()
        process.communicate()
