"""The command `edge-sdk`, one module per verb."""
