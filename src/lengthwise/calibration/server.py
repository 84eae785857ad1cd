"""A running server's ``/metrics``: how fast it is, and what it serves."""

from __future__ import annotations

import os
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from lengthwise.calibration.averages import Averages
from lengthwise.calibration.calibration import Calibration
from lengthwise.calibration.drawn import draw_lengths
from lengthwise.calibration.fitting import FEWEST
from lengthwise.calibration.scrape import Scrape, parse
from lengthwise.calibration.windows import FULL_KV, Windows
from lengthwise.errors import UserError, reading
from lengthwise.traces.trace import Trace
from lengthwise.workload import Workload
from lengthwise.workload.arrival_times import gamma

API_KEY = "VLLM_API_KEY"
"""The environment variable that has the server's key, as for vLLM itself."""

_TIMEOUT_S = 10.0

_OFTEN = 0.05
"""Share of the requests that waited above which seats or memory must have been short."""


@dataclass(frozen=True, eq=False)
class Server:
    """What a server said of itself, once or several times.

    Attributes:
        name: its address, or the file.
        scrapes: what it said, in order of time.
    """

    name: str
    scrapes: tuple[Scrape, ...]

    @property
    def last(self) -> Scrape:
        """What it said last; the histograms are of all requests since its start."""
        return self.scrapes[-1]

    @property
    def queued(self) -> float:
        """Share of the requests that waited longer than the smallest bucket (0.3 s); or NaN."""
        waits = self.last.histogram("request_queue_time_seconds")
        return float("nan") if waits is None else waits.above_least

    @property
    def rate(self) -> float:
        """Requests a second: while it was looked at, if any ended then, else since its start.

        Raises:
            UserError: if none ended, or the server does not say when it started.
        """
        first, last = self.scrapes[0], self.last
        span = last.time - first.time
        ended = _requests(last) - _requests(first)
        if span > 0 and ended > 0:
            return ended / span
        if not _requests(last):
            raise UserError(f"{self.name}: no request has ended: ask again when it has served some")
        if last.started is None or not last.time > last.started:
            raise UserError(
                f"{self.name} does not say when it started (process_start_time_seconds): give the "
                "address of the server in place of a file"
            )
        return _requests(last) / (last.time - last.started)

    def windows(self) -> Windows:
        """What happened from each scrape to the next, an engine's share of it."""
        pairs = list(pairwise(self.scrapes))
        engines = self.last.engines

        def level(name: str, at: int = 1) -> np.ndarray:
            return np.array([pair[at].value(name) / engines for pair in pairs])

        def gained(of: str) -> np.ndarray:
            return np.array([(b.value(of) - a.value(of)) / (b.time - a.time) for a, b in pairs])

        computed = [(b.computed - a.computed) / (b.time - a.time) for a, b in pairs]
        return Windows(
            np.array([b.time - self.scrapes[0].time for _, b in pairs]),
            np.array([b.time - a.time for a, b in pairs]),
            level("num_requests_running"),
            level("num_requests_waiting"),
            np.array([b.usage for _, b in pairs]),
            np.array(computed) / engines,
            gained("generation_tokens_total") / engines,
            level("num_requests_running", 0),
            np.array([(b.steps - a.steps) / engines for a, b in pairs]),
        )

    def calibration(self, card: Calibration | None = None) -> Calibration:
        """How fast the server is.

        From windows, if there are at least 20 in which requests ran; else from averages since
        its start, which tell one thing: how long a step took.

        Args:
            card: of :func:`lengthwise.calibration.cards.from_card`, for the same card and
                model: its shape is kept, and scaled to that average.

        Raises:
            UserError: if the server has served nothing.
        """
        last = self.last
        if card is None and len(self.scrapes) > FEWEST:
            windows = self.windows()
            if len(windows.sums(last.kv_tokens)) >= FEWEST:
                source = f"{len(windows)} looks at {self.name}"
                found = windows.calibration(
                    source, kv_tokens=last.kv_tokens, block_size=last.block_size
                )
                return self._with_seats(replace(found, notes=(*found.notes, *self._notes())))
        averages = Averages.of(last, self.name)
        found = averages.linear() if card is None else averages.scaled(card)
        return replace(
            found,
            kv_tokens=last.kv_tokens or found.kv_tokens,
            block_size=last.block_size,
            notes=(*found.notes, *self._notes()),
        )

    def _with_seats(self, found: Calibration) -> Calibration:
        """Seats guessed where requests waited, but not while the server was looked at."""
        windows = self.windows()
        often = self.queued > _OFTEN and float(windows.kv_usage.max()) < FULL_KV
        if found.seats is not None or not often:
            return found
        seats = max(int(windows.running.max()), 1)
        note = (
            f"many requests waited, but hardly any while the server was looked at: the {seats} "
            "that ran then at most are taken for all its seats; --seats says better"
        )
        return replace(found, seats=seats, notes=(*found.notes, note))

    def _notes(self) -> tuple[str, ...]:
        if np.isnan(self.queued):
            return ()
        return (f"{100 * self.queued:.0f} % of the requests waited longer than 0.3 s for a seat",)

    def trace(self, requests: int = 5_000, seed: int = 0) -> Trace:
        """Requests as the server gets them, drawn from its histograms; Poisson arrivals.

        Raises:
            UserError: if it has served none.
        """
        prompts = self.last.histogram("request_prompt_tokens")
        outputs = self.last.histogram("request_generation_tokens")
        if prompts is None or outputs is None:
            raise UserError(f"{self.name}: no request has ended: ask again when it has served some")
        rng = np.random.default_rng([seed, 1])
        rate = self.rate / self.last.engines
        arrival = np.array(gamma(requests, rate, 1.0, [seed, 2]))
        workload = Workload(
            arrival - arrival[0],
            draw_lengths(prompts, requests, rng),
            draw_lengths(outputs, requests, rng),
            name=self.name,
        )
        found = (
            f"{requests} requests were drawn from histograms of {prompts.count:.0f}: prompts of "
            f"{prompts.mean:.0f} tokens in the mean, outputs of {outputs.mean:.0f}; independent, "
            "and even on a logarithmic scale within each bucket",
            f"arrivals are Poisson at the observed {rate:.3g} requests a second of an engine: "
            "real traffic comes in bursts, which make waits longer",
        )
        return Trace(workload, "vLLM metrics", requests, found=found)


def read_metrics(path: Path) -> Server:
    """A saved answer of ``/metrics``; its time is the file's.

    Raises:
        UserError: if it cannot be read, or is of no vLLM.
    """
    with reading(path):
        text, at = path.read_text(), path.stat().st_mtime
    return Server(path.name, (parse(text, at, str(path)),))


def poll(url: str, seconds: float = 60.0, every: float = 2.0, api_key: str | None = None) -> Server:
    """A running server, looked at every two seconds for a minute.

    Args:
        url: of the server, with or without ``/metrics``.
        seconds, every: how long, and how often; 0 seconds look once.
        api_key: sent as a bearer token; left out, the environment's ``VLLM_API_KEY``.

    Raises:
        UserError: if it does not answer, or is no vLLM.
    """
    url = _address(url)
    end = time.monotonic() + seconds
    scrapes = [_scrape(url, api_key)]
    while time.monotonic() + every <= end:
        time.sleep(every)
        scrapes.append(_scrape(url, api_key))
    return Server(url, tuple(scrapes))


def _address(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(f"{url!r} is no address: give one like http://localhost:8000")
    path = parts.path.rstrip("/").removesuffix("/v1")
    return parts._replace(path=path if path.endswith("/metrics") else f"{path}/metrics").geturl()


def _scrape(url: str, api_key: str | None) -> Scrape:
    key = api_key or os.environ.get(API_KEY)
    request = urllib.request.Request(url)
    if key:
        request.add_header("Authorization", f"Bearer {key}")
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
            text = answer.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        hint = f": set {API_KEY}" if error.code in (401, 403) else ""
        raise UserError(f"{url} answers {error.code} {error.reason}{hint}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise UserError(f"{url} does not answer ({reason}): is the server running?") from None
    return parse(text, time.time(), url)


def _requests(scrape: Scrape) -> float:
    """Requests that have ended."""
    ended = scrape.histograms.get("request_generation_tokens")
    return 0.0 if ended is None else ended.count
