"""Settings: one place, all problems at once, secrets never shown, the sandbox stays on this machine."""

from __future__ import annotations

import re
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from bot.console.languages import catalogue
from bot.setting_shapes import OpeningHours
from bot.settings import Settings, SettingsError, describe

ROOT = Path(__file__).resolve().parents[1]
SECRET = "5a" * 32
TOKEN = "feedfacefeedfacefeedfacefeedface"


def production(**changes: str) -> dict[str, str]:
    return {
        "PUBLIC_URL": "https://triage.clinic.example/",
        "SECRET_KEY": SECRET,
        "TWILIO_ACCOUNT_SID": "AC" + "b" * 32,
        "TWILIO_AUTH_TOKENS": TOKEN,
        "TWILIO_FROM": "+12125550123",
        "CLINIC_PHONE": "+17135550100",
        "BOOKING_URL_PMR": "https://book.example/pmr",
        "BOOKING_URL_PT": "https://book.example/pt",
    } | changes


def problems(env: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        Settings.load(env)
    return caught.value.problems


def test_the_sandbox_needs_nothing_else(tmp_path: Path) -> None:
    settings = Settings.load({"SANDBOX": "true", "DATA_DIR": str(tmp_path / "var"), "WEB_PORT": "8123"})
    assert settings.public_url == "http://127.0.0.1:8123"
    assert settings.twilio_api_base == "http://127.0.0.1:8010"
    assert settings.host == "127.0.0.1"
    assert settings.nurse_line == settings.clinic_phone
    assert len(settings.secret_keys[0]) == 32


def test_the_sandbox_key_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    env = {"SANDBOX": "true", "DATA_DIR": str(tmp_path / "var")}
    with ThreadPoolExecutor(8) as pool:
        keys = {settings.secret_keys for settings in pool.map(lambda _: Settings.load(env), range(16))}
    assert len(keys) == 1
    assert stat.S_IMODE((tmp_path / "var" / "secret.key").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "var").iterdir()] == ["secret.key"]


def test_two_sandboxes_do_not_share_a_signing_token(tmp_path: Path) -> None:
    tokens = {Settings.load({"SANDBOX": "1", "DATA_DIR": str(tmp_path / name)}).auth_tokens for name in "ab"}
    assert len(tokens) == 2


def test_production_makes_no_key_and_needs_no_sandbox(tmp_path: Path) -> None:
    settings = Settings.load(production(DATA_DIR=str(tmp_path / "var")))
    assert not (tmp_path / "var").exists()
    assert settings.public_url == "https://triage.clinic.example"
    assert settings.twilio_api_base is None
    assert (settings.quiet_start, settings.quiet_end) == (time(20), time(9))
    assert settings.secret_keys == (bytes.fromhex(SECRET),)


def test_every_problem_is_reported_at_once() -> None:
    found = problems(
        {
            "WEB_PORT": "70000",
            "CLINIC_PHONE": "713-555",
            "CLINIC_HOURS": "Mon 8-17",
            "OPT_OUT_MODE": "no",
            "QUIET_END": "9h",
        }
    )
    names = {problem.split(":")[0] for problem in found}
    assert names == {
        "WEB_PORT", "CLINIC_PHONE", "CLINIC_HOURS", "OPT_OUT_MODE", "QUIET_END", "PUBLIC_URL", "SECRET_KEY",
        "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKENS", "TWILIO_FROM", "BOOKING_URL_PMR", "BOOKING_URL_PT",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"PUBLIC_URL": "triage.clinic.example"}, "PUBLIC_URL"),
        ({"PUBLIC_URL": "http://triage.clinic.example"}, "PUBLIC_URL"),
        ({"PUBLIC_URL": "https://user:word@triage.clinic.example"}, "PUBLIC_URL"),
        ({"PUBLIC_URL": "https://[2001:db8::1]/"}, "PUBLIC_URL"),
        ({"PUBLIC_URL": "https://triage.clinic.example/?a=1"}, "PUBLIC_URL"),
        ({"PUBLIC_URL": "https://triage.clinic.example:99999"}, "PUBLIC_URL"),
        ({"TWILIO_FROM": "+1212555012"}, "TWILIO_FROM"),
        ({"CLINIC_PHONE": "+19999999999"}, "CLINIC_PHONE"),
        ({"NURSE_LINE": "911"}, "NURSE_LINE"),
        ({"TWILIO_ACCOUNT_SID": "AC123"}, "TWILIO_ACCOUNT_SID"),
        ({"TWILIO_API_BASE": "https://elsewhere.example"}, "TWILIO_API_BASE"),
        ({"BOOKING_URL_PT": "http://book.example/pt"}, "BOOKING_URL_PT"),
        ({"CLINIC_TIMEZONE": "Houston"}, "CLINIC_TIMEZONE"),
        ({"ALLOWED_REGIONS": "US,XX"}, "ALLOWED_REGIONS"),
        ({"SECRET_KEY": "too short"}, "SECRET_KEY"),
        ({"STATE_URL": "http://127.0.0.1"}, "STATE_URL"),
        ({"STATE_URL": "redis://:word@10.0.0.9:6379/0"}, "STATE_URL"),
        ({"STATE_URL": "rediss://10.0.0.9:6379/0"}, "STATE_URL"),
        ({"QUIET_START": "09:00"}, "QUIET_START and QUIET_END"),
        ({"VOICE_EN": "alice"}, "VOICE_EN"),
        ({"SANDBOX": "true"}, "SANDBOX and PUBLIC_URL"),
        ({"SANDBOX": "true", "PUBLIC_URL": "http://localhost:8000", "WEB_HOST": "0.0.0.0"}, "SANDBOX and WEB_HOST"),
    ],
)
def test_a_wrong_value_is_named(changes: dict[str, str], named: str) -> None:
    assert [problem.split(":")[0] for problem in problems(production(**changes))] == [named]


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost:6379/0",
        "unix:///run/x.sock",
        "rediss://u:word@a:1,b:2/0",
        "redis+sentinel://127.0.0.1:26379/m",
    ],
)
def test_servers_on_this_machine_or_behind_tls_and_a_password_are_accepted(url: str) -> None:
    assert Settings.load(production(STATE_URL=url)).state_url == url


def test_what_hosting_platforms_set_is_understood() -> None:
    env = production(REDIS_URL="redis://localhost/1", PORT="9000", TWILIO_AUTH_TOKEN="x")
    assert Settings.load(env).state_url == "redis://localhost/1"
    assert Settings.load(env).web_port == 9000
    assert Settings.load(env).auth_tokens == (TOKEN,), "the program's own name wins"


def test_tokens_and_keys_can_be_rotated() -> None:
    settings = Settings.load(production(TWILIO_AUTH_TOKENS="new, old", SECRET_KEY=f"{'7c' * 32},{SECRET}"))
    assert settings.auth_tokens == ("new", "old")
    assert settings.secret_keys == (b"\x7c" * 32, b"\x5a" * 32)


def test_secrets_appear_in_no_repr_and_no_problem() -> None:
    hidden = "p4ssw0rd"
    env = production(SECRET_KEY=hidden, STATE_URL=f"redis://:{hidden}@far.example", TWILIO_AUTH_TOKENS=hidden)
    assert hidden not in "\n".join(problems(env))
    settings = Settings.load(
        production(STATE_URL=f"redis://:{hidden}@localhost", QUEUE_URL=f"redis://:{hidden}@localhost")
    )
    for shown in (repr(settings), str(settings), str(describe())):
        assert not any(secret in shown for secret in (hidden, TOKEN, SECRET))


def test_settings_cannot_be_changed() -> None:
    settings = Settings.load(production())
    with pytest.raises(ValidationError):
        settings.web_port = 1


def test_opening_hours_hold_their_edges() -> None:
    hours = OpeningHours.parse("Mo-Fr 08:00-17:00; Sa 09:00-12:00")
    zone = ZoneInfo("America/Chicago")
    when = {
        (13, 7, 59): False,
        (13, 8, 0): True, (17, 16, 59): True, (17, 17, 0): False, (18, 9, 0): True, (19, 9, 0): False,
    }  # fmt: skip
    for (day, hour, minute), is_open in when.items():
        assert hours.is_open(datetime(2026, 7, day, hour, minute, tzinfo=zone)) is is_open


@pytest.mark.parametrize("text", ["", "Mo", "Mo 17:00-08:00", "Fr-Mo 08:00-17:00", "Xx 08:00-17:00", "Mo 08:00-24:30"])
def test_impossible_opening_hours_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        OpeningHours.parse(text)


def test_the_example_file_names_every_setting_with_its_default_and_meaning() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    for name, default, meaning in describe():
        value = "" if default == "required" else default
        assert f"{name}={value}" in lines, f"run again what wrote .env.example; {name} differs"
        assert lines[lines.index(f"{name}={value}") - 1].startswith(f"# {meaning}")
    assert len([line for line in lines if re.match(r"[A-Z_]+=", line)]) == len(describe())


def test_nothing_else_in_the_program_reads_the_environment() -> None:
    readers = [
        path.relative_to(ROOT).as_posix()
        for folder in ("bot", "workers")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"os\.(environ|getenv)", path.read_text())
    ]
    assert set(readers) <= {"bot/settings.py", "bot/cli.py"}, "cli.py only hands the environment on to its parts"


def test_loading_settings_reads_no_network_and_no_heavy_import() -> None:
    code = "import sys, bot.settings; print(sorted(m for m in sys.modules if m in ('flask', 'redis', 'twilio', 'rq')))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True).stdout.strip() == "[]"


def test_every_meaning_of_a_setting_has_its_spanish() -> None:
    """For the console's page of settings."""
    missing = [meaning for _, _, meaning in describe() if meaning not in catalogue("es")]
    assert not missing, f"add to bot/console/words/es/settings.json: {missing}"
