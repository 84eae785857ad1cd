"""A flood of short requests, and what its victims are promised."""

from __future__ import annotations

from pathlib import Path

import pytest

from lengthwise.bench.adversary import Flood, kinds, show
from lengthwise.results.files import RequestRow, write_requests


def test_documents_and_short_questions_are_told_apart() -> None:
    documents, shorts = kinds()
    assert len(documents) == len(shorts)
    assert min(len(each.text) for each in documents) > max(len(each.text) for each in shorts)


def test_the_flood_is_mixed_with_others_in_order_of_arrival() -> None:
    flood = Flood.of(60.0, documents=1.0, shorts=5.0, seed=1)
    assert flood.times == sorted(flood.times)
    assert flood.times[0] >= 0.0
    assert flood.times[-1] <= 60.0
    ids = [prompt.id for prompt in flood.prompts]
    assert len(set(ids)) == len(ids) == len(flood.times)
    assert 200 < len(flood.short) < 400
    assert 30 < len(ids) - len(flood.short) < 100


def test_the_longest_wait_of_the_others_stands_beside_the_bound(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flood = Flood.of(3.0, documents=1.0, shorts=2.0, seed=1)
    victim = next(prompt.id for prompt in flood.prompts if prompt.id not in flood.short)
    for number, longest in enumerate((95.0, 61.0)):
        waits = {prompt.id: 2.0 for prompt in flood.prompts} | {victim: longest}
        rows = [
            RequestRow(
                id=id_,
                arrival=1.0,
                first=1.0 + wait,
                finish=9.0 + wait,
                longest_gap=0.0,
                tokens=5,
                prompt_tokens=9,
            )
            for id_, wait in waits.items()
        ]
        write_requests(tmp_path, number, rows)
    show(flood, ["stock", "lengthwise"], tmp_path, seats=8)
    told = " ".join(capsys.readouterr().out.split())
    # ((1 + 1/16 + 0.05) 95 + 2 * 8 / 8) / 0.95
    assert "113.4 s" in told
    assert "61.0 s" in told
