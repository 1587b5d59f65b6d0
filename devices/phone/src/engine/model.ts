/** A .tflite model in LiteRT's WebAssembly: one input, one output, a batch of 1, one thread. */

import { loadAndCompile, loadLiteRt, Tensor, type CompiledModel, type TensorDetails } from "@litertjs/core";

import { corrupt, Problem, reason } from "./problem";

let loading: Promise<unknown> | null = null;

/**
 * Load LiteRT from a folder of the page's own, once.
 *
 * The build for plain 128-bit SIMD is taken everywhere. The other one uses relaxed SIMD, whose results may differ by
 * processor, and not every phone has it; this one computes the same on all of them.
 */
export async function loadRuntime(folder: string): Promise<void> {
  if (!hasSimd()) {
    throw new Problem("browser", "This page needs a browser with WebAssembly SIMD, such as Chrome 105, Firefox 113 or Safari 16.4. Received: one without it. Update the browser.");
  }
  loading ??= loadLiteRt(`${folder.replace(/\/$/, "")}/litert_wasm_compat_internal.js`);
  try {
    await loading;
  } catch (error) {
    throw new Problem("network", `LiteRT must be loaded from this page's own server. Received: ${reason(error)}. Load the page again.`, error);
  }
}

/** Whether the browser compiles a function that returns a 128-bit vector. */
export function hasSimd(): boolean {
  const module = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11];
  return typeof WebAssembly === "object" && WebAssembly.validate(new Uint8Array(module));
}

/** A loaded model. */
export class Model {
  private constructor(
    private readonly compiled: CompiledModel,
    private readonly shape: readonly number[],
  ) {}

  /**
   * Load a model and check that it takes and gives what the bundle says.
   *
   * @param type Element type of the input; the output is always float32.
   */
  static async load(content: Uint8Array, name: string, type: "uint8" | "float32", shape: readonly number[], outputs: number): Promise<Model> {
    const compiled = await compile(content, name);
    try {
      expect(compiled.getInputDetails(), type, [1, ...shape], `${name}'s input`);
      expect(compiled.getOutputDetails(), "float32", [1, outputs], `${name}'s output`);
    } catch (error) {
      compiled.delete();
      throw error;
    }
    return new Model(compiled, [1, ...shape]);
  }

  /** Run it; the tensors live outside of JavaScript's memory and are given back at once. */
  async run(values: Uint8Array<ArrayBuffer> | Float32Array<ArrayBuffer>): Promise<Float32Array<ArrayBuffer>> {
    const input = Tensor.fromTypedArray(values, [...this.shape]);
    try {
      const [output] = await this.compiled.run(input);
      try {
        return Float32Array.from(output.toTypedArray());
      } finally {
        output.delete();
      }
    } finally {
      input.delete();
    }
  }

  /** Give its memory back. */
  close(): void {
    this.compiled.delete();
  }
}

async function compile(content: Uint8Array, name: string): Promise<CompiledModel> {
  try {
    return await loadAndCompile(content, { accelerator: "wasm" });
  } catch (error) {
    throw corrupt(`${name} must be a model that LiteRT runs in a browser.`, reason(error), "Compress it again with another recipe.");
  }
}

function expect(tensors: readonly TensorDetails[], type: string, shape: readonly number[], what: string): void {
  const received = tensors.map((tensor) => `${tensor.dtype} [${Array.from(tensor.shape).join(", ")}]`).join(" and ");
  const expected = `${type} [${shape.join(", ")}]`;
  if (received !== expected) throw corrupt(`${what} must be ${expected}.`, received, "Write the bundle again.");
}
