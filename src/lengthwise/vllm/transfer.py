"""Values between host and device, without waiting for a copy in the middle of a step."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray


def upload(values: NDArray[np.int64], device: torch.device) -> torch.Tensor:
    """Host values on the device; on a GPU without waiting for the copy."""
    tensor = torch.from_numpy(values)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


class Download:
    """A tensor on its way to the host; on a GPU the copy runs behind the sampler."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self._tensor = tensor.to("cpu", non_blocking=True)
        self._copied: Any = None
        if tensor.device.type == "cuda":
            # Whoever waits for it sleeps, and leaves the driver's lock to the engine's loop.
            self._copied = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
            self._copied.record()

    def numpy(self) -> NDArray[Any]:
        """The values, once they are there."""
        if self._copied is not None:
            self._copied.synchronize()
        return np.asarray(self._tensor.numpy())
