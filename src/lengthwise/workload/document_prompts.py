"""Prompts of very different length, as most traffic has them: documents, and short questions.

Half of the prompts are a document with a question about it: minutes, reports, manuals,
agreements, recipes and logs, put together from sentences of our own, with names and numbers
that change. The other half are questions of a line.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, TypeVar

COUNT = 440
"""Prompts there are; each pair has a document and a short question."""

SHORTEST, LONGEST = 60, 1100
"""Words of a document, about: the logarithm is uniform between them. A word has about 1.4
tokens of SmolLM2's."""

ABOUT_ONE_ENTRY = 2 / 3
"""Share of the questions about a document whose answer stands in one of its entries; the
others are about the whole of it."""

T = TypeVar("T")


@dataclass(frozen=True)
class Kind:
    """What documents of one kind are made of; words in braces are filled in.

    Attributes:
        noun: what such a document is called.
        subjects: what its entries are about, one each.
        fact: the first sentence of each entry, which answers the ``questions``.
        details: further sentences of an entry.
    """

    noun: str
    title: str
    opening: list[str]
    subjects: list[str]
    fact: str
    details: list[str]
    questions: list[str]
    closing: list[str]


@cache
def kinds() -> list[Kind]:
    """The kinds of documents."""
    return [Kind(**kind) for kind in _parts()["kinds"]]


def texts() -> list[str]:
    """The prompts, documents and short questions mixed; always the same."""
    rng = random.Random(0)
    questions = _questions(rng)
    found: list[str] = []
    while len(found) < COUNT:
        kind = kinds()[len(found) // 2 % len(kinds())]
        words = SHORTEST * (LONGEST / SHORTEST) ** rng.random()
        pair = [_Document(kind, words, rng).prompt(), questions[len(found) // 2]]
        found += pair if rng.random() < 0.5 else reversed(pair)
    return found


def is_document(text: str) -> bool:
    """Whether one of :func:`texts` has a document, or is a short question."""
    return "\n\n" in text


class _Words:
    """Fills the braces of sentences that belong together: a name stands for the same there."""

    def __init__(self, rng: random.Random, **given: str) -> None:
        self._rng, self._given = rng, given

    def fill(self, sentence: str) -> str:
        return sentence.format_map(self)

    def __getitem__(self, name: str) -> str:
        if name not in self._given:
            known = set(self._given.values())
            choices = _parts()["words"][name.rstrip("2")]
            self._given[name] = _one([each for each in choices if each not in known], self._rng)
        return self._given[name]


class _Document:
    """A document of about so many words, entry by entry."""

    def __init__(self, kind: Kind, words: float, rng: random.Random) -> None:
        self._kind, self._words, self._rng = kind, words, rng
        self._whole = _Words(rng, noun=kind.noun)
        self._entries: list[_Words] = []
        # A sentence or two of the frame for each page, so that short documents are not all frame.
        frame = 1 + int(words) // 200
        self._lines = [" ".join(self._filled(kind.opening[:frame]))]
        self._ending = " ".join(self._filled(kind.closing[: frame - 1]))
        self._title = self._whole.fill(kind.title)

    def prompt(self) -> str:
        """A question, and after it the document that answers it.

        The other way round, a model of 135 M parameters goes on writing the document.
        """
        for subject in _shuffled(self._kind.subjects, self._rng):
            if self._entries and self._missing() < 1:
                break
            self._lines.append(self._entry(subject))
        return f"{self._question()}\n\n{self._text()}"

    def _entry(self, subject: str) -> str:
        words = _Words(self._rng, subject=subject)
        self._entries.append(words)
        sentences = [words.fill(self._kind.fact)]
        missing = self._missing() - len(sentences[0].split())
        for detail in _shuffled(self._kind.details, self._rng)[: 3 + int(3 * self._rng.random())]:
            sentence = words.fill(detail)
            missing -= len(sentence.split())
            if missing < 0:
                break
            sentences.append(sentence)
        return f"{subject[0].upper()}{subject[1:]}. {' '.join(sentences)}"

    def _question(self) -> str:
        if self._rng.random() < ABOUT_ONE_ENTRY:
            asked = _one(self._entries, self._rng).fill(_one(self._kind.questions, self._rng))
            return f"{asked} Answer briefly, from this {self._kind.noun}."
        return self._whole.fill(_one(_parts()["tasks"], self._rng))

    def _filled(self, sentences: list[str]) -> list[str]:
        return [self._whole.fill(sentence) for sentence in sentences]

    def _text(self) -> str:
        return "\n\n".join(filter(None, [self._title, *self._lines, self._ending]))

    def _missing(self) -> float:
        return self._words - len(self._text().split())


def _questions(rng: random.Random) -> list[str]:
    """Short questions in random order."""
    asked = _parts()["questions"].items()
    return _shuffled([text.format(each) for text, them in asked for each in them], rng)


def _one(choices: Sequence[T], rng: random.Random) -> T:
    # random() gives the same numbers in every Python; choice and shuffle need not.
    return choices[int(rng.random() * len(choices))]


def _shuffled(items: list[T], rng: random.Random) -> list[T]:
    return sorted(items, key=lambda item: rng.random())


@cache
def _parts() -> Any:
    packaged = resources.files("lengthwise") / "data" / "documents.json"
    return json.loads(packaged.read_text(encoding="utf-8"))
