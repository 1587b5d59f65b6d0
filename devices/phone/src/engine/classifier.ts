/** A bundle made ready to classify frames. */

import type { Bundle } from "./bundle";
import { forms, type Form, type Manifest } from "./manifest";
import { makePipeline, type Pipeline } from "./pipeline";
import type { Frame } from "./preprocess";

/** What one frame was classified as. */
export interface Classification {
  readonly label: string;
  /** Probability of the label, 0 to 1. */
  readonly score: number;
  readonly classIndex: number;
  /** Probability of every label, in the manifest's order. */
  readonly scores: Float32Array;
  /** Whether it shows nothing of what the labels name; null where the bundle or its form cannot tell. */
  readonly unknown: boolean | null;
  readonly stages: readonly string[];
  /** Milliseconds of every stage. */
  readonly milliseconds: readonly number[];
}

/** Classifies frames with one of a bundle's forms, one frame at a time. */
export class Classifier {
  private constructor(
    readonly manifest: Manifest,
    readonly form: Form,
    private readonly pipeline: Pipeline,
  ) {}

  /**
   * Load a bundle's models; `loadRuntime` must have been called.
   *
   * @param form The bundle's default where left out.
   */
  static async load(bundle: Bundle, form: Form = forms(bundle.manifest)[0]): Promise<Classifier> {
    return new Classifier(bundle.manifest, form, await makePipeline(bundle, form));
  }

  get stages(): readonly string[] {
    return this.pipeline.stages;
  }

  async classify(frame: Frame): Promise<Classification> {
    const { trace, milliseconds } = await this.pipeline.run(frame);
    const { scores, strangeness } = trace;
    const unknown = strangeness === null ? null : !(strangeness <= 1);
    const classIndex = scores.reduce((best, score, i) => (score > scores[best] ? i : best), 0);
    const label = this.manifest.labels[classIndex];
    return { label, score: scores[classIndex], classIndex, scores, unknown, stages: this.stages, milliseconds };
  }

  /** Run a few grey frames, so that what is prepared at first use is in no figure. */
  async warmUp(runs = 3): Promise<void> {
    const data = new Uint8ClampedArray(64 * 48 * 4).fill(127);
    for (let i = 0; i < runs; i++) await this.classify({ data, width: 64, height: 48, order: "rgba" });
  }

  close(): void {
    this.pipeline.close();
  }
}
