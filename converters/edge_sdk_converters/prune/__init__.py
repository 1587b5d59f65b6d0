"""Structured pruning: channels are removed, not masked, so every tensor gets smaller.

`prune.config` holds the plan and imports no Keras; `prune.apply` runs it on a model.
"""
