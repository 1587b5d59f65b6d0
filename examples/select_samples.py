"""python examples/select_samples.py digits 200 chosen.txt

Chooses training pictures by the code of an autoencoder, without looking at their labels, and writes their names.
"""

import sys

from edge_sdk.data import load_images
from edge_sdk.learn.selection import SelectionConfig, Strategy
from edge_sdk.learn.selection.images import autoencoder_embedder, select_images
from edge_sdk.learn.selection.lists import write_list
from edge_sdk_runtime import PreprocessSpec

source, count, output = sys.argv[1:]
splits = load_images(source)
embedder = autoencoder_embedder(splits, PreprocessSpec(32, 32))
chosen = select_images(splits.train, SelectionConfig(Strategy.TOP_ACTIVATION, int(count)), embedder)
write_list(output, [splits.train.names[index] for index in chosen])
print(f"{output}: {len(chosen)} of {len(splits.train)} training pictures")
