"""Numbers, texts and moments in the columns of a table, and the first that is none."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lengthwise.core.arrays import Floats
from lengthwise.traces.moments import epoch_of
from lengthwise.traces.table import ROW, Table
from lengthwise.workload.workload import Tokens

_MOST = 10**9
"""More tokens than this are a mistake, not a request."""

Bools = NDArray[np.bool_]


@dataclass
class Fields:
    """Reads columns of a table; what is wrong is kept, so that the first bad row is named."""

    table: Table
    faults: list[tuple[int, str]] = field(default_factory=list)

    def check(self) -> None:
        """Raises UserError for the first row with a fault."""
        if self.faults:
            raise self.table.bad(*min(self.faults, key=lambda fault: fault[0]))

    def fault(self, broken: Bools, column: str | None, what: str) -> None:
        """Note the first row where ``broken`` [n] is true; its field stands after ``what``."""
        if not broken.any():
            return
        at = int(np.argmax(broken))
        if column is not None:
            value = self.table.frame[column][at]
            what = f"{what}: {_shown(value)}"
        self.faults.append((self.table.frame[ROW][at], what))

    def numbers(self, column: str, required: bool = True) -> Floats:
        """The finite numbers of a column, [n]; a fault is NaN, and so is a gap.

        Args:
            required: whether a gap is a fault.
        """
        given, values = self._given(column), self._cast(column)
        if required:
            self.fault(~given, None, f"no {column}")
        self.fault(given & ~np.isfinite(values), column, f"{column} is not a number")
        return np.where(np.isfinite(values), values, np.nan)

    def tokens(self, column: str) -> Tokens:
        """The whole numbers of a column, [n]; a fault is 0."""
        values = self.numbers(column)
        odd = np.isfinite(values) & ((values != np.floor(values)) | (np.abs(values) > _MOST))
        self.fault(odd, column, f"{column} is not a number of tokens")
        return np.where(np.isfinite(values) & ~odd, values, 0).astype(np.int64)

    def whole(self, column: str, otherwise: int = 0) -> Tokens:
        """Whole numbers of 64 bits, [n]; ``otherwise`` in a gap."""
        values = self._cast(column)
        given = self._given(column)
        odd = given & ~(np.isfinite(values) & (values == np.floor(values)))
        odd |= given & ~(np.abs(values) < 2.0**63)
        self.fault(odd, column, f"{column} is not a whole number of 64 bits")
        return np.where(given & ~odd, values, otherwise).astype(np.int64)

    def texts(self, column: str) -> list[str | None]:
        """The texts of a column, n of them; None in a gap."""
        texts = self._text(column)
        return texts.to_list()

    def moments(self, column: str) -> tuple[NDArray[np.int64], Floats] | None:
        """Whole seconds since 1970 and their fractions, each [n]; None if they are numbers.

        Dates without a zone count as UTC.
        """
        series = self.table.frame[column]
        if series.dtype.is_temporal():
            nanos = series.cast(pl.Datetime("ns")).cast(pl.Int64)
            self.fault(nanos.is_null().to_numpy(), None, f"no {column}")
            stamp = nanos.fill_null(0).to_numpy()
            return stamp // 10**9, (stamp % 10**9) / 1e9
        if not self._dates(series):
            return None
        texts = self._text(column)
        seconds, fraction = epoch_of(texts)
        missing = texts.is_null().to_numpy()
        self.fault(missing, None, f"no {column}")
        odd = seconds.is_null().to_numpy() & ~missing
        self.fault(odd, column, f"{column} is not a date and time")
        return seconds.fill_null(0).to_numpy(), fraction.fill_null(0.0).to_numpy()

    def _dates(self, series: pl.Series) -> bool:
        """Whether the first that is given looks like a date."""
        if series.dtype != pl.String:
            return False
        first = series.drop_nulls().str.strip_chars()
        return len(first) > 0 and bool(first.head(1).str.contains(r"^\d{4}-|\d[/:]").item())

    def _given(self, column: str) -> Bools:
        given: Bools = self._text(column).is_not_null().to_numpy()
        return given

    def _text(self, column: str) -> pl.Series:
        """The column as texts; null where nothing stands."""
        series = self.table.frame[column]
        if series.dtype != pl.String:
            if series.dtype.is_nested():
                return series.map_elements(str, return_dtype=pl.String)
            return series.cast(pl.String)
        stripped = series.str.strip_chars()
        return stripped.set(stripped == "", None)

    def _cast(self, column: str) -> Floats:
        series = self.table.frame[column]
        if series.dtype.is_numeric():
            return series.cast(pl.Float64).fill_null(np.nan).to_numpy()
        if series.dtype != pl.String:
            return np.full(len(series), np.nan)
        texts = series.str.strip_chars()
        if self.table.decimal_comma:
            texts = texts.str.replace(",", ".", literal=True)
        values: Floats = texts.cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy()
        return values


def _shown(value: Any) -> str:
    if isinstance(value, pl.Series):
        value = value.to_list()
    return repr(str(value)[:40])
