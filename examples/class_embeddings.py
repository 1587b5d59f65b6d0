"""python examples/class_embeddings.py digits.keras digits digits.txt

Class embeddings of labelled pictures as a file like word vectors, which class is most like which, and a classifier whose head
learns from similarity to them; digits.keras is what `edge-sdk train digits -o digits.keras` wrote.
"""

import sys

from edge_sdk.data import load_images, prepare
from edge_sdk.learn.embedding_files import read_embeddings, write_embeddings
from edge_sdk.learn.neighbours import most_alike
from edge_sdk.learn.prototypes import PrototypeMethod
from edge_sdk.learn.train import examples
from edge_sdk.learn.transfer import PrototypePlan, class_table, load_encoder, train_on_encoder
from edge_sdk_converters.source import accuracy

model, source, output = sys.argv[1:]
known, splits = load_encoder(model), load_images(source)
write_embeddings(output, class_table(known, splits, PrototypePlan(per_class=2, method=PrototypeMethod.MEDOIDS)))
table = read_embeddings(output)
for label, (other, similarity) in most_alike(table).items():
    print(f"{label} is most like {other}: {similarity:.2f}")
trained = train_on_encoder(known, splits, PrototypePlan(), table=table)
share = accuracy(trained.model, examples(prepare(splits.test, known.spec)))
print(
    f"{output}: {len(table)} vectors; a head on similarity to them classifies {share:.2%} of the held-out pictures rightly"
)
