"""The command `edge-run`, one module per verb."""
