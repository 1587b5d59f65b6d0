"""python examples/pictures_to_bundle.py digits digits.edge examples/half_the_channels.toml

From labelled pictures (a folder of class folders, or a named set) to a proven bundle, by a recipe of one's own.
"""

import sys

from edge_sdk.compress import compress
from edge_sdk.data import load_images
from edge_sdk.learn.train import TrainConfig, default_spec, train_classifier
from edge_sdk_converters.recipe import load_recipe

source, output, recipe = sys.argv[1:]
splits = load_images(source)
trained = train_classifier(splits, default_spec(splits, None), TrainConfig())
result = compress(trained.model, trained.card, splits, load_recipe(recipe), name="example")
size = result.bundle.write(output)
print(
    f"{output}: {size} bytes, {result.bundle.manifest.measured.accuracy:.2%} of the held-out pictures classified rightly"
)
