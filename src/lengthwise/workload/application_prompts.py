"""Prompts of small applications whose answers follow their inputs' length, as Magnus needs them.

Magnus (arXiv 2406.04785) serves applications such as grammar correction: an instruction that
never changes, and an input. These inputs are sentences of our own, put together anew for each
prompt, so that a real model can show what a forest on the input's length is worth.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from importlib import resources

COUNT = 600
"""Prompts there are."""

SHORTEST, LONGEST = 5, 150
"""Words of an input, about: the logarithm is uniform between them."""


@dataclass(frozen=True)
class Application:
    """What is asked of every input, and the kind of sentences that inputs are made of."""

    instruction: str
    sentences: str


APPLICATIONS = (
    Application("Correct the grammar of this text:", "faulty"),
    Application("Write each sentence of this text on a line of its own:", "plain"),
    Application("Correct the spelling of this text:", "faulty"),
    Application("Put this text into the past tense:", "plain"),
    Application("Write this text in capital letters:", "rude"),
    Application("Repeat this text word by word:", "plain"),
)
"""Such as a model of 135 M parameters can answer. Translations and polite versions it could not:
a quarter to two fifths of those ran on to a cap of 256 tokens."""


def texts() -> list[str]:
    """The prompts, application by application in turn; always the same."""
    packaged = resources.files("lengthwise") / "data" / "sentences.json"
    sentences: dict[str, list[str]] = json.loads(packaged.read_text(encoding="utf-8"))
    rng = random.Random(0)
    found: dict[str, None] = {}
    while len(found) < COUNT:
        application = APPLICATIONS[len(found) % len(APPLICATIONS)]
        words = SHORTEST * (LONGEST / SHORTEST) ** rng.random()
        text = _text(sentences[application.sentences], words, rng)
        # A short text may have come already: then another.
        found[f"{application.instruction}\n\n{text}"] = None
    return list(found)


def _text(sentences: list[str], words: float, rng: random.Random) -> str:
    """Different sentences in random order, until there are ``words`` words."""
    # random() gives the same numbers in every Python; shuffle need not.
    shuffled = sorted(sentences, key=lambda sentence: rng.random())
    taken: list[str] = []
    for sentence in shuffled:
        if taken and len(" ".join([*taken, sentence]).split()) > words:
            break
        taken.append(sentence)
    return " ".join(taken)
