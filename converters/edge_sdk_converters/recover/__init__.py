"""Recovery: fine-tuning after a pass. `config` needs no Keras; `apply` does the work."""
