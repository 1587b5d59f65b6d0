"""Structured pruning: channels are removed, not masked, so every tensor gets smaller.

`prune.config` holds the plans and imports no Keras; `prune.apply` ranks and removes, `prune.cycle` trains, counts and removes.
"""
