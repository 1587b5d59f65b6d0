"""How much each removable unit matters: one criterion per module, `table` finds them by name."""
