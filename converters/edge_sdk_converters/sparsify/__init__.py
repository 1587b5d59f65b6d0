"""Unstructured pruning: single weights set to zero while the network learns to do without them.

Scattered zeros buy storage, where weights are entropy-coded, and nothing else: in the .tflite file they are ordinary
values of a dense tensor that take their place and their multiply-accumulates (Çallı, 2017). For latency and memory, remove
channels (`prune`) or factorize. `config`, `pattern`, `schedule` and `masks` need no Keras; `apply` does the work.
"""
