/** Whether an image shows anything that the bundle has seen examples of: the runtime's rule of distances to classes. */

import type { Bundle } from "./bundle";
import type { StagedForm, UnknownRule } from "./manifest";
import { corrupt } from "./problem";
import { classMeans, factor, solve, unit, type Rows } from "./scatter";

/** Distances among embeddings as they are, or among those at length 1. */
interface Space {
  readonly lower: Float64Array;
  /** Means of the classes after L⁻¹. */
  readonly means: readonly Float64Array[];
}

/** The rule made ready to run, with what the bundle's remembered examples say of its classes. */
export class Unknown {
  private constructor(
    private readonly plain: Space,
    private readonly direction: Space,
    private readonly thresholds: readonly number[],
  ) {}

  /** A bundle's rule for embeddings of a width; null where it has none. */
  static async of(bundle: Bundle, width: number): Promise<Unknown | null> {
    const rule: UnknownRule | null | undefined = bundle.manifest.unknown;
    if (!rule) return null;
    const arrays = await bundle.readArrays((bundle.manifest.staged as StagedForm).memory ?? "");
    const [embeddings, labels] = [arrays.get("embeddings"), arrays.get("labels")?.data];
    const classes = rule.thresholds.length;
    if (embeddings?.shape[1] !== width || labels?.length !== embeddings.shape[0] || new Set(Array.from(labels)).size !== classes) {
      throw corrupt(`A feature memory must hold embeddings of width ${width} of all ${classes} classes.`, [...arrays.keys()].join(", ") || "nothing");
    }
    const rows: Rows = { data: Float64Array.from(embeddings.data), width };
    const units: Rows = { data: new Float64Array(rows.data.length), width };
    for (let at = 0; at < rows.data.length; at += width) units.data.set(unit(rows.data.subarray(at, at + width)), at);
    return new Unknown(spaceOf(rows, labels, classes), spaceOf(units, labels, classes), rule.thresholds);
  }

  /** The smallest squared distance to a class, that class's own threshold being 1; above 1 an embedding is unknown. */
  strangeness(embedding: ArrayLike<number>): number {
    const [plain, direction] = [squares(this.plain, embedding), squares(this.direction, unit(embedding))];
    return this.thresholds.reduce((least, threshold, i) => {
      const strange = (plain[i] + direction[i]) / threshold ** 2;
      return strange >= least ? least : strange; // so that what is no number is not passed over
    }, Infinity);
  }
}

function spaceOf(rows: Rows, labels: ArrayLike<number>, classes: number): Space {
  const means = classMeans(rows, labels, classes);
  const lower = factor(rows, labels, means);
  const mean = (i: number): Float64Array => means.data.subarray(i * rows.width, (i + 1) * rows.width);
  return { lower, means: Array.from({ length: classes }, (_, i) => solve(lower, mean(i))) };
}

function squares({ lower, means }: Space, vector: ArrayLike<number>): number[] {
  const place = solve(lower, vector);
  return means.map((mean) => mean.reduce((sum, value, i) => sum + (value - place[i]) ** 2, 0));
}
