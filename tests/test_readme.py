"""The README tells the truth: its transcript is the program's, its settings table the code's, its map the tree's."""

from __future__ import annotations

import re
from pathlib import Path

from bot.chat import Chat
from bot.settings import describe

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def block(name: str) -> str:
    """What stands between the comments of *name*."""
    return README.partition(f"<!-- {name} -->")[2].partition(f"<!-- /{name} -->")[0].strip()


def transcript(said: list[str]) -> str:
    """The conversation as the README shows it."""
    chat = Chat("sms", "en")
    lines = ["```"]
    for words in said:
        heard = chat.say(words)
        lines += [f"> {words}", *(heard.text or "(no answer)").splitlines(), ""]
    return "\n".join([*lines[:-1], "```"])


def settings_table() -> str:
    """The table as the README shows it."""
    rows = [f"| `{name}` | {default} | {meaning} |" for name, default, meaning in describe()]
    return "\n".join(["| name | default | meaning |", "|---|---|---|", *rows])


def test_the_transcript_is_what_the_program_says() -> None:
    """Every answer in the README comes from this checkout."""
    shown = block("transcript")
    assert shown == transcript(re.findall(r"^> (.*)$", shown, re.MULTILINE))
    assert "may be the best start" in shown or "may be right" in shown


def test_the_settings_table_is_the_codes() -> None:
    """Every setting, its default and its meaning."""
    assert block("settings") == settings_table()


def test_every_setting_is_in_the_example_file() -> None:
    """Who copies .env.example sees all of them."""
    example = (ROOT / ".env.example").read_text("utf-8")
    assert not [name for name, _, _ in describe() if name not in example]


def test_every_path_of_the_map_exists() -> None:
    """Files that the README names are there."""
    named = re.findall(r"\b(?:bot|workers|tests)/[\w/.]+\.(?:py|json|png|txt)\b", README)
    assert named
    assert not [path for path in named if not (ROOT / path).exists()]


def test_every_promise_names_a_test_that_exists() -> None:
    """P1 to P9, each with at least one test by file and name."""
    rows = re.findall(r"^\| (P\d) .*?\| (.*) \|$", README, re.MULTILINE)
    assert [promise for promise, _ in rows] == [f"P{number}" for number in range(1, 10)]
    for promise, tests in rows:
        named = re.findall(r"`([\w/.]+)::(\w+)`", tests)
        assert named, promise
        for path, name in named:
            assert f"\ndef {name}(" in (ROOT / path).read_text("utf-8"), f"{promise}: {path}::{name}"


def test_the_two_commands_are_in_the_makefile_and_in_ci() -> None:
    """make run and make test are what a newcomer types; CI types the second."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert re.search(r"^run:", makefile, re.MULTILINE)
    assert re.search(r"^test:", makefile, re.MULTILINE)
    assert "make test" in (ROOT / ".ci" / "run").read_text("utf-8")
