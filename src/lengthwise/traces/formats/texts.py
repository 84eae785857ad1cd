"""Files of texts without counts: refused as traces, unless a tokenizer counts them."""

from __future__ import annotations

from typing import Any

import polars as pl

from lengthwise.errors import UserError
from lengthwise.models.fingerprint import model_folder
from lengthwise.models.served import chat_ids, load_tokenizer
from lengthwise.traces.columns import Columns, Rows, read_columns
from lengthwise.traces.content import File
from lengthwise.traces.conversations import NO_PAIR, TEXTS, Exchange, exchange_of
from lengthwise.traces.formats.plain import COLUMNS
from lengthwise.traces.names import matching
from lengthwise.traces.records import place, records
from lengthwise.traces.selection import Selection
from lengthwise.traces.table import ROW, Table
from lengthwise.traces.trace import LeftOut

_ADVICE = (
    "give --tokenizer MODEL to count the tokens of prompts and answers, "
    "or give the file to lengthwise bench as --prompts"
)

_COUNTED = Columns(("prompt_tokens",), ("output_tokens",), ("timestamp",))


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
        counted: list[dict[str, Any]] = []
        rows = 0
        for number, record in records(file):
            rows += 1
            exchange = _exchange(file, number, record)
            if exchange is not None and exchange.answer is not None:
                answer = tokenizer.encode(exchange.answer, add_special_tokens=False)
                row = {ROW: number - 1, "prompt_tokens": len(chat_ids(tokenizer, exchange.prompt))}
                counted.append(row | {"output_tokens": len(answer)} | _time(record))
        if not counted:
            raise UserError(
                f"{file.what} holds prompts without answers, so their lengths are not known: "
                "give the file to lengthwise bench as --prompts"
            )
        frame = pl.DataFrame(counted, infer_schema_length=None)
        table = Table(file.what, frame, lambda row: place(file, row + 1))
        found = read_columns(table, _COUNTED, selection)
        said = f"tokens counted by the tokenizer of {selection.tokenizer}"
        left = LeftOut(rows - len(counted), NO_PAIR)
        return found.also(left.rows, left).saying(said)


def _exchange(file: File, number: int, record: dict[str, Any]) -> Exchange | None:
    try:
        return exchange_of(record)
    except ValueError as error:
        raise UserError(f"{file.what}, {place(file, number)}: {error}") from None


def _time(record: dict[str, Any]) -> dict[str, Any]:
    """When the record says that it was asked."""
    name = matching(COLUMNS.arrival, [*record], nested=False)
    return {} if name is None else {"timestamp": record[name]}
