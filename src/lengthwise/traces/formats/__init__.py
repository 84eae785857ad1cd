"""Formats of traces: one a file; a new one is its file and its line here."""

from __future__ import annotations

from lengthwise.traces.formats.aiperf import AIPERF
from lengthwise.traces.formats.azure import AZURE, AZURE_SECONDS
from lengthwise.traces.formats.baseten import BASETEN
from lengthwise.traces.formats.burstgpt import BURSTGPT
from lengthwise.traces.formats.format import Format
from lengthwise.traces.formats.guidellm_result import GuidellmResult
from lengthwise.traces.formats.lengths import ALPACA, SHAREGPT
from lengthwise.traces.formats.lengthwise_requests import LENGTHWISE
from lengthwise.traces.formats.llmservingsim import LLMSERVINGSIM
from lengthwise.traces.formats.mooncake import (
    BAILIAN,
    GUIDELLM_TRACE,
    MOONCAKE,
    MOONCAKE_COUNTS,
)
from lengthwise.traces.formats.openai_batch import OPENAI_BATCH
from lengthwise.traces.formats.plain import PLAIN
from lengthwise.traces.formats.recorded import RECORDED
from lengthwise.traces.formats.spans import Spans
from lengthwise.traces.formats.texts import Texts
from lengthwise.traces.formats.vidur import VIDUR
from lengthwise.traces.formats.vllm_bench import VllmBench
from lengthwise.traces.formats.vllm_log import VllmLog

FORMATS: tuple[Format, ...] = (
    # Documents and log lines first: those that are no table as they stand.
    Spans(),
    VllmLog(),
    GuidellmResult(),
    VllmBench(),
    AIPERF,
    MOONCAKE_COUNTS,
    BAILIAN,
    MOONCAKE,
    GUIDELLM_TRACE,
    AZURE,
    AZURE_SECONDS,
    BURSTGPT,
    BASETEN,
    VIDUR,
    LLMSERVINGSIM,
    SHAREGPT,
    ALPACA,
    LENGTHWISE,
    RECORDED,
    OPENAI_BATCH,
    PLAIN,
    Texts(),
)
"""Most specific first: the first that fits is taken."""

NAMES = tuple(dict.fromkeys(each.name for each in FORMATS))
