"""Reports: one self-contained HTML page, its tables as CSV and its plots as PNG beside it."""
