/** How an embedding compares with every prototype: the features that the head classifies. */

import type { Measure } from "./manifest";
import type { NdArray } from "./npy";
import { corrupt } from "./problem";

const EPSILON = 1e-12;

/** A table of prototypes and the way they are compared with. */
export class Similarity {
  /** Number of prototypes. */
  readonly count: number;
  /** Width of the embeddings. */
  readonly width: number;
  private readonly table: Float64Array;

  constructor(
    prototypes: NdArray,
    private readonly measure: Measure,
    labels: number,
  ) {
    const [count, width] = prototypes.shape;
    if (prototypes.shape.length !== 2 || count !== labels || !width) {
      throw corrupt(`Prototypes must be one row for each of ${labels} labels.`, `[${prototypes.shape.join(", ")}]`);
    }
    [this.count, this.width] = [count, width];
    this.table = Float64Array.from(prototypes.data);
    for (let row = 0; row < count; row++) prepare(this.table.subarray(row * width, (row + 1) * width), measure);
  }

  /** Compare one embedding, `float32 [width]`; gives `float32 [count]`. */
  features(embedding: ArrayLike<number>): Float32Array<ArrayBuffer> {
    const vector = Float64Array.from(embedding);
    prepare(vector, this.measure);
    const compare = this.measure === "euclidean" ? nearness : dot;
    return Float32Array.from({ length: this.count }, (_, row) => compare(this.table, row * this.width, vector));
  }
}

/** Bring a vector to the length and mean that a measure sees, in place. */
function prepare(vector: Float64Array, measure: Measure): void {
  if (measure === "correlation") centre(vector);
  if (measure === "cosine" || measure === "correlation") {
    const scale = 1 / Math.sqrt(Math.max(dot(vector, 0, vector), EPSILON));
    for (let i = 0; i < vector.length; i++) vector[i] *= scale;
  }
}

function centre(vector: Float64Array): void {
  const square = dot(vector, 0, vector);
  const mean = vector.reduce((sum, value) => sum + value, 0) / vector.length;
  for (let i = 0; i < vector.length; i++) vector[i] -= mean;
  // What rounding leaves of a constant vector correlates with nothing.
  if (dot(vector, 0, vector) <= EPSILON * square) vector.fill(0);
}

function dot(table: Float64Array, at: number, vector: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < vector.length; i++) sum += table[at + i] * vector[i];
  return sum;
}

function nearness(table: Float64Array, at: number, vector: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < vector.length; i++) sum += (table[at + i] - vector[i]) ** 2;
  return 1 / (1 + Math.sqrt(sum));
}
