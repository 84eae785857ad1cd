"""Results of runs: files, figures, tables and plots."""
