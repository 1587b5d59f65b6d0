"""Weight sharing: the weights of a layer take few values, so that an entropy-coded file stores small indices and a codebook.

The second stage of Han, Mao and Dally, "Deep Compression" (arXiv 1510.00149, section 3). Shared weights buy storage and nothing
else: a .tflite file holds them like any other numbers. `config`, `codebook`, `kernels` and `coding` need no Keras; `apply`
does the work, `search` chooses bits under a budget, `hold` keeps the sharing while a network is fine-tuned.
"""
