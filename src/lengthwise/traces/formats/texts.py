"""Files of texts without counts: refused as traces, unless a tokenizer counts them."""

from __future__ import annotations

import polars as pl

from lengthwise.errors import UserError
from lengthwise.models.fingerprint import model_folder
from lengthwise.models.served import chat_ids, load_tokenizer
from lengthwise.traces.columns import Rows
from lengthwise.traces.content import File
from lengthwise.traces.conversations import NO_PAIR, TEXTS, exchange_of
from lengthwise.traces.records import place, records
from lengthwise.traces.selection import Selection
from lengthwise.traces.trace import LeftOut

_ADVICE = (
    "give --tokenizer MODEL to count the tokens of prompts and answers, "
    "or give the file to lengthwise bench as --prompts"
)


class Texts:
    """ShareGPT's arrays, LMSYS and WildChat, Alpaca, prompts for vLLM's benchmark, batches."""

    name = "texts"
    expects = "conversations, messages, prompt or instruction"

    def fits(self, file: File) -> bool:
        """Whether a column has texts."""
        return any(file.table.find([name], nested=False) is not None for name in TEXTS)

    def read(self, file: File, selection: Selection) -> Rows:
        """The first question with an answer of each record, counted by the tokenizer."""
        if selection.tokenizer is None:
            raise UserError(f"{file.what} holds texts without token counts: {_ADVICE}")
        tokenizer = load_tokenizer(model_folder(selection.tokenizer))
        counts: list[tuple[int, int, int]] = []
        rows = 0
        for number, record in records(file):
            rows += 1
            try:
                exchange = exchange_of(record)
            except ValueError as error:
                raise UserError(f"{file.what}, {place(file, number)}: {error}") from None
            if exchange is not None and exchange.answer is not None:
                prompt = len(chat_ids(tokenizer, exchange.prompt))
                answer = len(tokenizer.encode(exchange.answer, add_special_tokens=False))
                counts.append((number - 1, prompt, answer))
        if rows and not counts:
            raise UserError(
                f"{file.what} holds prompts without answers, so their lengths are not known: "
                "give the file to lengthwise bench as --prompts"
            )
        frame = pl.DataFrame(counts, schema=["row", "prompt", "output"], orient="row")
        frame = frame.cast({"prompt": pl.Int64, "output": pl.Int64})
        empty = [pl.lit(0, dtype=pl.Int64).alias(name) for name in ("prefix", "priority")]
        said = f"tokens counted by the tokenizer of {selection.tokenizer}"
        found = Rows(frame.with_columns(empty), len(counts), found=(said,))
        return found.also(rows - len(counts), LeftOut(rows - len(counts), NO_PAIR))
