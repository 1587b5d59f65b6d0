/** The two inference forms, as sequences of timed stages. */

import type { Bundle } from "./bundle";
import type { Form, StagedForm } from "./manifest";
import { Mlp } from "./mlp";
import { Model } from "./model";
import { Preprocessor, type Frame } from "./preprocess";
import { corrupt } from "./problem";
import { Similarity } from "./similarity";
import { Unknown } from "./unknown";

/** What every stage made of one frame; the staged form alone has an embedding and features. */
export interface Trace {
  readonly preprocess: Uint8Array;
  readonly embed?: Float32Array;
  readonly similarity?: Float32Array;
  readonly scores: Float32Array;
  /** How unlike all classes it is, above 1 where it is unknown; null where the bundle or its form cannot tell. */
  readonly strangeness: number | null;
}

/** From a frame to scores, one frame at a time. */
export interface Pipeline {
  readonly stages: readonly string[];
  /** Results of all stages, and milliseconds that each of `stages` took. */
  run(frame: Frame): Promise<{ trace: Trace; milliseconds: number[] }>;
  close(): void;
}

/** Load a bundle's models in one of its forms. */
export function makePipeline(bundle: Bundle, form: Form): Promise<Pipeline> {
  return form === "fused" ? fused(bundle) : staged(bundle);
}

async function fused(bundle: Bundle): Promise<Pipeline> {
  const { manifest } = bundle;
  const name = manifest.fused?.classifier ?? "";
  const preprocessor = new Preprocessor(manifest.preprocess);
  const model = await Model.load(bundle.read(name), name, "uint8", preprocessor.shape, manifest.labels.length);
  return {
    stages: ["preprocess", "classify"],
    async run(frame) {
      const clock = stopwatch();
      const preprocess = preprocessor.run(frame);
      clock.lap();
      const scores = await model.run(preprocess);
      clock.lap();
      return { trace: { preprocess, scores, strangeness: null }, milliseconds: clock.laps };
    },
    close: () => model.close(),
  };
}

async function staged(bundle: Bundle): Promise<Pipeline> {
  const form = bundle.manifest.staged as StagedForm;
  const preprocessor = new Preprocessor(bundle.manifest.preprocess);
  const similarity = new Similarity(bundle.readArray(form.prototypes), form.similarity, form.prototype_labels.length);
  const head = await loadHead(bundle, form, similarity.count);
  const unknown = await Unknown.of(bundle, similarity.width);
  const encoder = await loadEncoder(bundle, form, preprocessor.shape, similarity.width);
  return {
    stages: ["preprocess", "embed", "similarity", "head", ...(unknown ? ["unknown"] : [])],
    async run(frame) {
      const clock = stopwatch();
      const preprocess = preprocessor.run(frame);
      clock.lap();
      const embed = await encoder.run(preprocess);
      clock.lap();
      const features = similarity.features(embed);
      clock.lap();
      const scores = await head.run(features);
      clock.lap();
      const strangeness = unknown ? unknown.strangeness(embed) : null;
      if (unknown) clock.lap();
      return { trace: { preprocess, embed, similarity: features, scores, strangeness }, milliseconds: clock.laps };
    },
    close() {
      encoder.close();
      head.close();
    },
  };
}

type Floats = Float32Array<ArrayBuffer>;

interface Stage {
  run(values: Uint8Array<ArrayBuffer> | Float32Array<ArrayBuffer>): Floats | Promise<Floats>;
  close(): void;
}

async function loadHead(bundle: Bundle, form: StagedForm, features: number): Promise<Stage> {
  const classes = bundle.manifest.labels.length;
  if (form.head.endsWith(".tflite")) return Model.load(bundle.read(form.head), form.head, "float32", [features], classes);
  const mlp = new Mlp(await bundle.readArrays(form.head), features, classes);
  return { run: (values) => mlp.score(values), close() {} };
}

async function loadEncoder(bundle: Bundle, form: StagedForm, shape: readonly number[], width: number): Promise<Stage> {
  if (form.encoder !== null) return Model.load(bundle.read(form.encoder), form.encoder, "uint8", shape, width);
  const numbers = shape.reduce((product, side) => product * side, 1);
  if (numbers !== width) throw corrupt(`Prototypes of images must be ${numbers} wide.`, String(width));
  return { run: (image) => Float32Array.from(image, (value) => value / 255), close() {} };
}

function stopwatch(): { laps: number[]; lap(): void } {
  const laps: number[] = [];
  let last = performance.now();
  return {
    laps,
    lap() {
      const now = performance.now();
      laps.push(now - last);
      last = now;
    },
  };
}
