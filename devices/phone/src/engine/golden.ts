/** Golden vectors: sample frames with the expected result of every stage, repeated in this browser. */

import type { Bundle } from "./bundle";
import { forms, type Form } from "./manifest";
import type { NdArray } from "./npy";
import { makePipeline, type Trace } from "./pipeline";
import type { Frame } from "./preprocess";
import { corrupt } from "./problem";
import { even } from "./resize";

const STAGES = ["preprocess", "embed", "similarity", "scores"] as const;
const GRID = 16;

/** How far one stage of one form is from its golden vectors. */
export interface StageCheck {
  readonly form: Form;
  readonly stage: (typeof STAGES)[number];
  /** The largest over all frames: for `preprocess` the mean over an image in grey levels, else absolute. */
  readonly difference: number;
  /** The largest difference of any single number. */
  readonly largest: number;
  readonly tolerance: number;
  readonly passed: boolean;
}

/** The outcome of repeating the golden vectors. */
export interface Verification {
  readonly frames: number;
  readonly checks: readonly StageCheck[];
  readonly passed: boolean;
}

/** Repeat a bundle's golden vectors in every form it holds; `loadRuntime` must have been called. */
export async function verify(bundle: Bundle): Promise<Verification> {
  const arrays = await bundle.readArrays("golden.npz");
  const frames = goldenFrames(arrays);
  const checks: StageCheck[] = [];
  for (const form of forms(bundle.manifest)) {
    const pipeline = await makePipeline(bundle, form);
    try {
      const traces: Trace[] = [];
      for (const frame of frames) traces.push((await pipeline.run(frame)).trace);
      checks.push(...compare(form, traces, arrays, bundle));
    } finally {
      pipeline.close();
    }
  }
  return { frames: frames.length, checks, passed: checks.every((check) => check.passed) };
}

function goldenFrames(arrays: ReadonlyMap<string, NdArray>): Frame[] {
  const frames: Frame[] = [];
  for (let i = 0; arrays.has(`frame_${i}`); i++) {
    const { data, shape } = arrays.get(`frame_${i}`) as NdArray;
    if (!(data instanceof Uint8Array) || shape.length !== 3 || shape[2] !== 3) throw corrupt("A golden frame must be uint8 [height, width, 3].", `[${shape.join(", ")}]`);
    frames.push({ data, width: shape[1], height: shape[0], order: "bgr" });
  }
  return [...frames, goldenPattern()];
}

function compare(form: Form, traces: readonly Trace[], arrays: ReadonlyMap<string, NdArray>, bundle: Bundle): StageCheck[] {
  const { tolerances, preprocess } = bundle.manifest;
  const checks: StageCheck[] = [];
  for (const stage of STAGES) {
    const expected = arrays.get(`expected_${stage}`);
    const results = traces.map((trace) => (stage === "preprocess" ? sampleGrid(trace.preprocess, preprocess.width, preprocess.height) : trace[stage]));
    if (!expected || results[0] === undefined) continue;
    const width = expected.data.length / expected.shape[0];
    if (expected.shape[0] !== traces.length || results[0].length !== width) throw corrupt(`Golden vectors must hold a row per frame of stage ${stage}.`, `[${expected.shape.join(", ")}]`);
    const rows = results.map((result, i) => differences(result as ArrayLike<number>, expected.data, i * width));
    const largest = Math.max(...rows.map((row) => row.largest));
    const difference = stage === "preprocess" ? Math.max(...rows.map((row) => row.mean)) : largest;
    checks.push({ form, stage, difference, largest, tolerance: tolerances[stage], passed: difference <= tolerances[stage] });
  }
  if (!checks.some((check) => check.stage === "scores")) throw corrupt("Golden vectors must hold scores.", [...arrays.keys()].join(", "));
  return checks;
}

function differences(received: ArrayLike<number>, expected: ArrayLike<number>, at: number): { mean: number; largest: number } {
  let [sum, largest] = [0, 0];
  for (let i = 0; i < received.length; i++) {
    const difference = Math.abs(received[i] - expected[at + i]);
    sum += difference;
    largest = difference <= largest ? largest : difference; // so that what is no number is not passed over
  }
  return { mean: sum / received.length, largest };
}

/** At most 16 × 16 evenly spaced pixels of a model input. */
function sampleGrid(image: Uint8Array, width: number, height: number): Uint8Array {
  const channels = image.length / (width * height);
  const places = [spaced(height), spaced(width)] as const;
  const sampled = places[0].flatMap((y) => places[1].flatMap((x) => Array.from({ length: channels }, (_, c) => image[(y * width + x) * channels + c])));
  return Uint8Array.from(sampled);
}

function spaced(side: number): number[] {
  const count = Math.min(GRID, side);
  const step = count > 1 ? (side - 1) / (count - 1) : 0;
  return Array.from({ length: count }, (_, i) => (i === count - 1 && count > 1 ? side - 1 : even(i * step)));
}

/** The frame that needs no storage: gradients in blue and green, stripes in red; the last of the golden frames. */
export function goldenPattern(height = 480, width = 640): Frame {
  const data = new Uint8Array(height * width * 3);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 3) {
      data[at] = Math.floor((x * 255) / Math.max(1, width - 1));
      data[at + 1] = Math.floor((y * 255) / Math.max(1, height - 1));
      data[at + 2] = ((Math.floor(x / 3) + Math.floor(y / 3)) % 2) * 200 + (x > Math.floor(width / 2) ? 50 : 0);
    }
  }
  return { data, width, height, order: "bgr" };
}
