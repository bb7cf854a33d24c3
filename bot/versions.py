"""The published versions, opened: a flow by its hash, a whole clinic by the mark of its edition. Each is read once."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from bot.catalog import reader
from bot.consent import Hours
from bot.edition import Edition, Read, kept_flow
from bot.eventlog import UnknownEditionError
from bot.flow.load import Loaded
from bot.reading.hints import make_hints
from bot.reading.words import parse_words
from bot.store.published import Published
from bot.turn import Clinic


class Versions:
    """What was published in one store."""

    def __init__(self, published: Published) -> None:
        self.published = published
        self._flows: dict[str, Loaded] = {}
        self._clinics: dict[str, Clinic] = {}
        self._editions: dict[str, Edition] = {}

    def flow(self, content: str) -> Loaded | None:
        """The flow whose content has this hash; None when it was never published here."""
        if content not in self._flows:
            text = self.published.text(content)
            if text is None:
                return None
            self._flows[content] = kept_flow(text, content)
        return self._flows[content]

    def edition(self, mark: str) -> Edition | None:
        """The edition with this mark."""
        if mark not in self._editions:
            text = self.published.text(mark)
            if text is None:
                return None
            self._editions[mark] = Edition.from_json(text)
        return self._editions[mark]

    def then(self, mark: str, phone: str) -> tuple[Clinic, Hours]:
        """The clinic under this mark, and when *phone* could be written to. Raises UnknownEditionError when any part of it
        is not kept."""
        clinic, edition = self.clinic(mark), self.edition(mark)
        if clinic is None or edition is None:
            raise UnknownEditionError
        return clinic, edition.hours_of(phone)

    def clinic(self, mark: str) -> Clinic | None:
        """The clinic as it was under this mark, drawing nothing; None when any part of it is not kept."""
        if mark not in self._clinics:
            edition = self.edition(mark)
            if edition is None:
                return None
            flows = {name: self.flow(content) for name, content in edition.flows.items()}
            words = {language: self.published.text(content) for language, content in edition.words.items()}
            whole = {name: loaded for name, loaded in flows.items() if loaded}
            texts = {language: text for language, text in words.items() if text}
            if len(whole) < len(flows) or len(texts) < len(words):
                return None
            made = edition.clinic(whole, _reader(tuple(sorted(texts.items()))), make_hints(texts))
            self._clinics[mark] = replace(made, version=self.flow)
        return self._clinics[mark]


@lru_cache(maxsize=4)
def _reader(texts: tuple[tuple[str, str], ...]) -> Read:
    """Words are slow to make ready, and editions that differ share them."""
    return reader(parse_words(dict(texts)))
