"""Output files of OpenAI's batches: usage of each request, without times of arrival."""

from __future__ import annotations

from lengthwise.traces.columns import Columns
from lengthwise.traces.formats.format import TableFormat
from lengthwise.traces.formats.plain import failed

OPENAI_BATCH = TableFormat(
    "openai-batch",
    ("custom_id", "response.body.usage.prompt_tokens", "response.body.usage.completion_tokens"),
    Columns(
        ("response.body.usage.prompt_tokens",),
        ("response.body.usage.completion_tokens",),
        cached=("response.body.usage.prompt_tokens_details.cached_tokens",),
        id=("custom_id",),
    ),
    ("failed or aborted", failed),
)
