/** The head as numbers: dense layers with ReLU between them and softmax at the end. */

import type { NdArray } from "./npy";
import { corrupt } from "./problem";

/** A multi-layer perceptron from the arrays of a `head.npz`: `kernel_0`, `bias_0`, `kernel_1` and so on. */
export class Mlp {
  private readonly layers: readonly { readonly kernel: NdArray; readonly bias: NdArray }[];

  constructor(arrays: ReadonlyMap<string, NdArray>, inputs: number, outputs: number) {
    this.layers = Array.from({ length: Math.max(1, arrays.size >> 1) }, (_, i) => {
      const [kernel, bias] = [arrays.get(`kernel_${i}`), arrays.get(`bias_${i}`)];
      if (!kernel || !bias) throw corrupt("A head must be kernels and biases.", [...arrays.keys()].join(", ") || "nothing");
      return { kernel, bias };
    });
    let width = inputs;
    for (const { kernel, bias } of this.layers) {
      const [rows, columns] = kernel.shape;
      if (kernel.shape.length !== 2 || rows !== width || bias.data.length !== columns) {
        throw corrupt(`A layer of the head must take ${width} numbers.`, `[${kernel.shape.join(", ")}]`);
      }
      width = columns;
    }
    if (width !== outputs) throw corrupt(`The head must score ${outputs} classes.`, String(width));
  }

  /** Probabilities of features, `float32 [classes]`. */
  score(features: ArrayLike<number>): Float32Array<ArrayBuffer> {
    let values = Float64Array.from(features);
    this.layers.forEach(({ kernel, bias }, i) => {
      values = dense(values, kernel, bias);
      if (i + 1 < this.layers.length) values = values.map((value) => Math.max(value, 0));
    });
    const most = values.reduce((one, other) => Math.max(one, other), -Infinity);
    const powers = values.map((value) => Math.exp(value - most));
    const sum = powers.reduce((one, other) => one + other, 0);
    return Float32Array.from(powers, (power) => power / sum);
  }
}

function dense(values: Float64Array, kernel: NdArray, bias: NdArray): Float64Array<ArrayBuffer> {
  const out = Float64Array.from(bias.data);
  for (let row = 0, at = 0; row < values.length; row++) {
    for (let column = 0; column < out.length; column++, at++) out[column] += values[row] * kernel.data[at];
  }
  return out;
}
