/** What a bundle says of itself; the schema is the runtime's, docs/bundle.md describes it. */

import { corrupt, Problem, reason } from "./problem";

export type Resize = "stretch" | "letterbox" | "center-crop";
export type Interpolation = "area" | "fast-area" | "linear";
export type Color = "rgb" | "gray";
export type Measure = "cosine" | "dot" | "euclidean" | "correlation";
export type Form = "staged" | "fused";

/** What is done to a frame before the model sees it; sides in pixels. */
export interface PreprocessSpec {
  readonly width: number;
  readonly height: number;
  readonly resize: Resize;
  readonly interpolation: Interpolation;
  readonly color: Color;
}

/** Encoder, comparison with prototypes, head; without an encoder the embedding is the image itself. */
export interface StagedForm {
  readonly encoder: string | null;
  readonly prototypes: string;
  readonly prototype_labels: readonly number[];
  readonly similarity: Measure;
  readonly head: string;
  /** The feature memory, where the bundle has one. */
  readonly memory?: string | null;
}

/** How images of nothing that is known are told: the largest distance of each class's images. */
export interface UnknownRule {
  readonly thresholds: readonly number[];
}

/** What was measured when the bundle was written. */
export interface Measured {
  readonly accuracy: number | null;
  readonly images: number;
  readonly data: string;
  readonly parameters: number | null;
  readonly macs: number | null;
  readonly tflite_bytes: number;
}

/** How far each stage may be from its golden vectors. */
export interface Tolerances {
  readonly preprocess: number;
  readonly embed: number;
  readonly similarity: number;
  readonly scores: number;
}

/** One member of the bundle. */
export interface FileEntry {
  readonly size_bytes: number;
  readonly sha256: string;
  readonly rebuilt?: unknown;
}

export interface Manifest {
  readonly schema_version: string;
  readonly name: string;
  readonly labels: readonly string[];
  readonly preprocess: PreprocessSpec;
  readonly default_form: Form;
  readonly staged: StagedForm | null;
  readonly fused: { readonly classifier: string } | null;
  readonly measured: Measured;
  readonly tolerances: Tolerances;
  readonly files: Readonly<Record<string, FileEntry>>;
  readonly unknown?: UnknownRule | null;
}

const SCHEMA_MAJOR = 1;
const MAX_SIDE = 4096;

/**
 * Read a manifest and check what is relied upon here.
 *
 * @throws Problem: it is none, or of a newer major version of the schema.
 */
export function readManifest(bytes: Uint8Array): Manifest {
  try {
    const manifest = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as Manifest;
    checkVersion(manifest);
    check(manifest);
    return manifest;
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw corrupt("manifest.json must follow the bundle schema.", reason(error));
  }
}

/** The inference forms that a bundle holds, the default first. */
export function forms(manifest: Manifest): Form[] {
  const held = (["staged", "fused"] as const).filter((form) => manifest[form]);
  return held.sort((form) => (form === manifest.default_form ? -1 : 1));
}

function checkVersion(manifest: Manifest): void {
  const major = Number(String(manifest.schema_version).split(".")[0]);
  if (major > SCHEMA_MAJOR) {
    throw new Problem(
      "version",
      `This page reads bundle schema ${SCHEMA_MAJOR}. Received: schema ${manifest.schema_version}. ` +
        "Build the page again with a newer edge-sdk.",
    );
  }
}

function check(manifest: Manifest): void {
  const { labels, preprocess, staged, fused, default_form: form, tolerances, measured, files, unknown } = manifest;
  const rules: [string, boolean][] = [
    ["labels", Array.isArray(labels) && labels.length >= 2 && labels.every((label) => typeof label === "string")],
    ["preprocess.width", isSide(preprocess.width)],
    ["preprocess.height", isSide(preprocess.height)],
    ["preprocess.resize", ["stretch", "letterbox", "center-crop"].includes(preprocess.resize)],
    ["preprocess.interpolation", ["area", "fast-area", "linear"].includes(preprocess.interpolation)],
    ["preprocess.color", ["rgb", "gray"].includes(preprocess.color)],
    ["default_form", (form === "staged" && !!staged) || (form === "fused" && !!fused)],
    ["staged.similarity", !staged || ["cosine", "dot", "euclidean", "correlation"].includes(staged.similarity)],
    ["staged.prototype_labels", !staged || staged.prototype_labels.every((label) => label >= 0 && label < labels.length)],
    ["unknown", !unknown || (!!staged?.memory && unknown.thresholds.length === labels.length && unknown.thresholds.every((each) => each > 0))],
    ["tolerances", [tolerances.preprocess, tolerances.embed, tolerances.similarity, tolerances.scores].every(Number.isFinite)],
    ["measured", Number.isFinite(measured.images)],
    ["files", Object.values(files).every((file) => /^[0-9a-f]{64}$/.test(file.sha256))],
  ];
  const broken = rules.find(([, holds]) => !holds);
  if (broken) throw new Error(`a ${broken[0]} that it does not know`);
}

function isSide(side: unknown): boolean {
  return Number.isInteger(side) && (side as number) >= 1 && (side as number) <= MAX_SIDE;
}
