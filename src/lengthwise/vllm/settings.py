"""What the user sets, as it travels through vLLM's ``--additional-config``."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lengthwise.core.checks import at_least, file_for, folder_for, not_negative, positive
from lengthwise.core.classes_file import classes_of
from lengthwise.core.seats import LOOK_EVERY
from lengthwise.core.service import Classes
from lengthwise.errors import UserError, refuse_unknown
from lengthwise.online.options import Learning
from lengthwise.policies import make_policy
from lengthwise.vllm.ours import KEY as KEY

if TYPE_CHECKING:
    from lengthwise.online.scorer import Scorer

TRUSTS = ("body", "headers", "none")
"""What may say whose request it is."""


@dataclass(frozen=True)
class Settings:
    """Settings of the plug-in; ``{"lengthwise": {...}}`` in vLLM's additional config.

    Attributes:
        policy: name of the policy, with its argument after a colon (``trail:0.8``).
        probe: folder of the trained predictors; some policies need it, the default does not.
        pause: keep the KV cache of a request that loses its seat while memory lasts
            (False: discard and recompute at once).
        margin: a waiting request takes a seat only if its rank is this many tokens
            better than the running one's.
        interval: the probe runs every this many tokens of a request; in between the
            prediction counts down.
        look_every: ranks are read every so many steps, and the probe runs just before, and
            when a prompt is done; in between predictions count down.
        record: layers to record (``lengthwise collect``); empty when serving.
        record_every: sampled positions are this many tokens apart.
        scoring: where prompts are scored: on a thread of the engine, in a process of its
            own, or (auto) the former if the predictor is cheap.
        scoring_timeout: seconds of silence after which that process is given up.
        align: slices end where a block of the KV cache does (:mod:`lengthwise.vllm.piece`).
        learn: learn from finished requests, if the policy reads predictions
            (:mod:`lengthwise.online.learner`).
        learning: options for that (:class:`lengthwise.online.options.Learning`).
        tap: let a probe, given or learned, read the model's hidden states, if the policy ranks
            by it.
        classes: service classes, as the file of ``--classes`` has them; empty: there are none.
        log: file of decisions, one JSON object a line; None: no file.
        log_mib: MiB after which that file is rotated.
        spans: share of finished requests of which a span is sent, from 0 to 1, where vLLM's
            ``--otlp-traces-endpoint`` says where to.
        trust: what may say whose request it is, its priority and class
            (:mod:`lengthwise.vllm.trust`): the ``body``, ``headers``, or ``none``.
        routed: all requests come through a router, whose predictions are believed; clients of
            an open server cannot pass for one.
        page: serve the live page, where VLLM_PLUGINS lets it.
    """

    policy: str = "lengthwise"
    probe: str | None = None
    pause: bool = True
    margin: float = 8.0
    interval: int = 1
    look_every: int = LOOK_EVERY
    record: list[int] = field(default_factory=list)
    record_every: int = 8
    scoring: str = "auto"
    scoring_timeout: float = 10.0
    align: bool = True
    learn: bool = True
    learning: dict[str, Any] = field(default_factory=dict)
    tap: bool = True
    classes: dict[str, Any] = field(default_factory=dict)
    log: str | None = None
    log_mib: float = 64.0
    spans: float = 0.01
    trust: str = "body"
    routed: bool = False
    page: bool = True

    @classmethod
    def read(cls, additional_config: Any) -> Settings:
        """Settings from vLLM's additional config; defaults for what it leaves out.

        Raises:
            UserError: for an unknown name.
        """
        given = additional_config.get(KEY, {}) if isinstance(additional_config, dict) else {}
        refuse_unknown(given, cls, "lengthwise setting")
        return cls(**given)

    def check(self, model: str) -> None:
        """Refuse what no engine could serve with; loads the predictors that the policy uses.

        Raises:
            UserError: for a number out of range, an unknown policy or way of scoring, a log
                that cannot be written, or predictors that are missing, damaged, or another
                model's.
        """
        at_least(1, predict_interval=self.interval, look_every=self.look_every)
        not_negative(margin=self.margin)
        positive(scoring_timeout=self.scoring_timeout)
        make_policy(self.policy, self.service)
        self.check_trust()
        self.check_told()
        if self.learns:
            folder = Learning.of(self.learning).folder
            if folder is not None:
                folder_for(Path(folder), "learn")
        self.check_predictors(model)

    def check_predictors(self, model: str) -> None:
        """Refuse predictors that the policy cannot use; loads them.

        Raises:
            UserError: if they are missing, damaged, or another model's.
        """
        if self.probe is None:
            return
        from lengthwise.predictors.store import check_there

        check_there(self.probe)
        if make_policy(self.policy).source in ("prompt", "probe"):
            from lengthwise.online.scorer import Scorer
            from lengthwise.predictors.store import load_probe

            in_process(self, Scorer.load(self.probe, model))
            if self.probing:
                load_probe(self.probe, model)

    def check_trust(self) -> None:
        """Refuse a place to trust that there is not.

        Raises:
            UserError: names those that there are.
        """
        if self.trust not in TRUSTS:
            raise UserError(f"trust is {', '.join(TRUSTS)}, not {self.trust!r}")

    def check_told(self) -> None:
        """Refuse a decision log that cannot be written, and a share that is none.

        Raises:
            UserError: says which flag, and why.
        """
        positive(lengthwise_log_mib=self.log_mib)
        if self.log is not None:
            file_for(Path(self.log), "lengthwise_log")
        if not 0 <= self.spans <= 1:
            raise UserError(f"--lengthwise-spans must be from 0 to 1, not {self.spans:g}")

    @property
    def learns(self) -> bool:
        """Whether there is anything to learn: the policy reads predictions."""
        return self.learn and make_policy(self.policy).source in ("prompt", "probe")

    @property
    def probing(self) -> bool:
        """Whether the policy ranks by the probe, and there is one.

        With a prompt predictor alone TRAIL ranks by that, as its peer TRAIL-BERT does; and
        in slices, for the worker forgets what the probe has read where a slice ends.
        """
        if self.probe is None or not self._reads_states:
            return False
        from lengthwise.predictors.store import has_probe

        return has_probe(self.probe)

    @property
    def sampling(self) -> bool:
        """Whether the worker keeps hidden states to learn a probe from that the policy ranks by."""
        return self.learn and self._reads_states

    @property
    def _reads_states(self) -> bool:
        return self.tap and self.slice is None and make_policy(self.policy).source == "probe"

    @property
    def service(self) -> Classes | None:
        """The service classes; None if there are none.

        Raises:
            UserError: if :attr:`classes` is not what a file of classes has.
        """
        return classes_of(self.classes) if self.classes else None

    @property
    def slice(self) -> int | None:
        """Most tokens served at a time; None if requests run without being sliced."""
        most = make_policy(self.policy).slice
        return int(most) if math.isfinite(most) else None

    def additional_config(self) -> dict[str, Any]:
        """The value for vLLM's ``additional_config``."""
        return {KEY: asdict(self)}


def in_process(settings: Settings, scorer: Scorer) -> bool:
    """Whether prompts are scored in a process of their own, by the settings.

    Left to itself, a predictor of token ids (or of nothing) stays on a thread: it takes
    some ten microseconds, less than sending the prompt. One of text needs a tokenizer
    and mostly a network, and would hold up the engine's Python code.
    """
    if settings.scoring not in ("auto", "thread", "process"):
        raise UserError(f"scoring is auto, thread or process, not {settings.scoring!r}")
    if settings.scoring == "auto":
        return scorer.predictor.reads == "text"
    return settings.scoring == "process"
