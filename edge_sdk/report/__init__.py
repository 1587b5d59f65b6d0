"""Reports: what was measured as a table for the terminal, as plots, and as one HTML page."""
