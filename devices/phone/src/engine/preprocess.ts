/** The one thing done to a frame before a model sees it; equal to the runtime's, pixel by pixel. */

import { frameGeometry, type Geometry, type Size, type Step } from "./geometry";
import type { PreprocessSpec } from "./manifest";
import { blank, resizer, type Pixels, type Resizer } from "./resize";

/** A frame: `rgba` as a canvas gives it, or `bgr` as OpenCV does. */
export interface Frame {
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
  readonly order: "rgba" | "bgr";
}

interface Plan {
  readonly geometry: Geometry;
  readonly steps: readonly { readonly run: Resizer; readonly into: Pixels }[];
}

/** A specification made ready to run; memory and tables are kept for the frame size seen last. */
export class Preprocessor {
  private size: Size = [0, 0];
  private plan: Plan | null = null;

  constructor(readonly spec: PreprocessSpec) {}

  /** Shape of a model input: height, width, channels. */
  get shape(): readonly [number, number, number] {
    return [this.spec.height, this.spec.width, this.spec.color === "rgb" ? 3 : 1];
  }

  /** Turn a frame into a model input, `uint8 [height, width, channels]`, a new array. */
  run(frame: Frame): Uint8Array<ArrayBuffer> {
    if (!this.plan || this.size[0] !== frame.width || this.size[1] !== frame.height) {
      this.size = [frame.width, frame.height];
      this.plan = planFor(this.size, this.spec);
    }
    const [left, top, width, height] = this.plan.geometry.source;
    const step = frame.order === "rgba" ? 4 : 3;
    const row = frame.width * step;
    let pixels: Pixels = { data: frame.data, offset: top * row + left * step, row, step, width, height };
    for (const { run, into } of this.plan.steps) {
      run(pixels, into);
      pixels = into;
    }
    return colored(pixels, frame.order === "rgba", this.plan.geometry.target, this.shape);
  }
}

function planFor(frame: Size, spec: PreprocessSpec): Plan {
  const geometry = frameGeometry(frame, spec);
  const { source, steps: before, size, shrinks } = geometry;
  const sizes: Step[] = [...before, [size, spec.interpolation !== "linear" && shrinks]];
  let from: Size = [source[2], source[3]];
  const steps = sizes.map(([to, averaged]) => {
    const run = resizer(from, to, averaged);
    from = to;
    return { run, into: blank(to) };
  });
  return { geometry, steps };
}

function colored(
  pixels: Pixels,
  redFirst: boolean,
  [left, top]: readonly [number, number],
  [height, width, channels]: readonly [number, number, number],
): Uint8Array<ArrayBuffer> {
  const { data } = pixels;
  const out = new Uint8Array(height * width * channels);
  const [red, blue] = redFirst ? [0, 2] : [2, 0];
  for (let y = 0, from = 0; y < pixels.height; y++) {
    let to = ((top + y) * width + left) * channels;
    for (let x = 0; x < pixels.width; x++, from += 3, to += channels) {
      if (channels === 1) {
        out[to] = gray(data[from + red], data[from + 1], data[from + blue]);
      } else {
        out[to] = data[from + red];
        out[to + 1] = data[from + 1];
        out[to + 2] = data[from + blue];
      }
    }
  }
  return out;
}

/** Luma of ITU-R BT.601 in OpenCV's fixed point. */
function gray(red: number, green: number, blue: number): number {
  return (red * 9798 + green * 19235 + blue * 3735 + 16384) >> 15;
}
