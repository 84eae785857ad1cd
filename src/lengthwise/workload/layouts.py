"""Columns of the known traces, and the request in one record of each."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from lengthwise.workload.records import Record, number, tokens

BLOCK = 512
"""Mooncake's prompt tokens to a cache block."""


class Row(NamedTuple):
    """One request: arrival in seconds from any moment (None: not known), and tokens."""

    arrival: float | None
    prompt: int
    output: int
    prefix: int = 0


RowOf = Callable[[Record], Row | None]
"""A record's request, or None to leave it out. A bad field is a ValueError."""


@dataclass(frozen=True)
class Layout:
    """A file's columns.

    Attributes:
        format: the name to choose it by; a format may have several layouts.
        columns: what the first record must have; the rest is not read.
        rows: returns the reader of one file's records; its argument: keep the records that
            are usually left out.
    """

    format: str
    columns: tuple[str, ...]
    rows: Callable[[bool], RowOf]


def layout_of(columns: Collection[str], format: str | None) -> Layout | None:
    """The first layout, of this format if given, whose columns are all there."""
    fits = (known for known in LAYOUTS if format in (None, known.format))
    return next((known for known in fits if set(known.columns) <= set(columns)), None)


def _columns(
    prompt: str, output: str, time: str | None = None, per_second: float = 1.0
) -> Callable[[bool], RowOf]:
    def row(record: Record) -> Row:
        arrival = None if time is None else number(record, time) / per_second
        return Row(arrival, tokens(record, prompt), tokens(record, output))

    return lambda everything: row


def _azure(everything: bool) -> RowOf:
    """Azure's own header; wall-clock times without a zone count as UTC."""

    def row(record: Record) -> Row:
        try:
            moment = datetime.fromisoformat(record["TIMESTAMP"])
        except (KeyError, TypeError, ValueError):
            raise ValueError("TIMESTAMP is not a date and time") from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        arrival = moment.timestamp()
        return Row(arrival, tokens(record, "ContextTokens"), tokens(record, "GeneratedTokens"))

    return row


def _mooncake_counts(everything: bool) -> RowOf:
    def row(record: Record) -> Row:
        prompt = tokens(record, "prompt_tokens")
        prefix = min(BLOCK * tokens(record, "n_blocks_seen_before"), prompt)
        return Row(number(record, "t_ms") / 1000, prompt, tokens(record, "output_tokens"), prefix)

    return row


def _mooncake(everything: bool) -> RowOf:
    """Mooncake's own lines: the leading blocks seen in any line above are in the cache."""
    seen: set[object] = set()

    def row(record: Record) -> Row:
        hashes = record.get("hash_ids")
        if not isinstance(hashes, list) or not all(isinstance(each, int) for each in hashes):
            raise ValueError("hash_ids is not a list of numbers")
        known = next((i for i, each in enumerate(hashes) if each not in seen), len(hashes))
        seen.update(hashes)
        prompt = tokens(record, "input_length")
        arrival = number(record, "timestamp") / 1000
        return Row(arrival, prompt, tokens(record, "output_length"), min(BLOCK * known, prompt))

    return row


def _burstgpt(everything: bool) -> RowOf:
    """BurstGPT: no response tokens means the request failed; it is left out always."""

    def row(record: Record) -> Row | None:
        output = tokens(record, "Response tokens")
        if output == 0:
            return None
        return Row(number(record, "Timestamp"), tokens(record, "Request tokens"), output)

    return row


def _sharegpt(everything: bool) -> RowOf:
    """ShareGPT: left out is what vLLM's benchmark leaves out."""
    return lambda record: _lengths(record) if everything or tokens(record, "vllm_filter") else None


def _alpaca(everything: bool) -> RowOf:
    """Alpaca: left out is what a rating chose (``uniform`` false)."""
    return lambda record: _lengths(record) if everything or record.get("uniform") is True else None


def _lengths(record: Record) -> Row | None:
    """A data set's prompt and answer; one of them empty is no request."""
    prompt, output = (tokens(record, name) for name in _LLAMA)
    return Row(None, prompt, output) if prompt and output else None


_PLAIN = ("prompt_tokens", "output_tokens")
_LLAMA = ("prompt_tok_llama3", "output_tok_llama3")

LAYOUTS = (
    Layout("mooncake", ("t_ms", *_PLAIN, "n_blocks_seen_before"), _mooncake_counts),
    Layout("mooncake", ("timestamp", "input_length", "output_length", "hash_ids"), _mooncake),
    Layout("azure", ("t_s", *_PLAIN), _columns(*_PLAIN, "t_s")),
    Layout("azure", ("TIMESTAMP", "ContextTokens", "GeneratedTokens"), _azure),
    Layout("burstgpt", ("Timestamp", "Request tokens", "Response tokens"), _burstgpt),
    Layout("sharegpt", (*_LLAMA, "vllm_filter"), _sharegpt),
    Layout("alpaca", (*_LLAMA, "uniform"), _alpaca),
    Layout("plain", ("arrival_s", *_PLAIN), _columns(*_PLAIN, "arrival_s")),
    Layout("plain", ("t_ms", *_PLAIN), _columns(*_PLAIN, "t_ms", 1000.0)),
    Layout("plain", _PLAIN, _columns(*_PLAIN)),
)
"""Most specific first: the first that fits is taken."""

FORMATS = tuple(dict.fromkeys(known.format for known in LAYOUTS))
