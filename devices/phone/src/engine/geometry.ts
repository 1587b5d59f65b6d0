/** Where pixels come from and go to: crop, and the sizes on the way to the model's; the runtime's geometry in whole numbers. */

import type { PreprocessSpec } from "./manifest";

export type Size = readonly [width: number, height: number];

export type Step = readonly [size: Size, averages: boolean];

/** The way of one frame size to the model's input. */
export interface Geometry {
  /** The part of the frame that is used: left, top, width, height. */
  readonly source: readonly [number, number, number, number];
  /** Where it goes in the model's input: left, top. */
  readonly target: readonly [number, number];
  /** What it is resized to before: the size, and whether whole blocks are averaged, else linear samples are taken. */
  readonly steps: readonly Step[];
  /** What it is resized to at last. */
  readonly size: Size;
  /** Whether it gets no larger in either direction. */
  readonly shrinks: boolean;
}

const FAST_AREA_LIMIT = 6;

/** The geometry for frames of a size in pixels. */
export function frameGeometry(frame: Size, spec: PreprocessSpec): Geometry {
  const model: Size = [spec.width, spec.height];
  const fast = spec.interpolation === "fast-area";
  const cut = spec.resize === "center-crop" ? fit(...model, ...frame) : frame;
  const size = spec.resize === "letterbox" ? fit(...cut, ...model) : model;
  return {
    source: [(frame[0] - cut[0]) >> 1, (frame[1] - cut[1]) >> 1, ...cut],
    target: [(model[0] - size[0]) >> 1, (model[1] - size[1]) >> 1],
    steps: fast ? stepsFor(cut, size) : [],
    size,
    shrinks: cut[0] >= size[0] && cut[1] >= size[1],
  };
}

/** The largest size of an aspect ratio that fits; halves are rounded up. */
export function fit(width: number, height: number, withinWidth: number, withinHeight: number): Size {
  if (width * withinHeight > height * withinWidth) {
    return [withinWidth, Math.max(1, Math.floor((2 * height * withinWidth + width) / (2 * width)))];
  }
  return [Math.max(1, Math.floor((2 * width * withinHeight + height) / (2 * height))), withinHeight];
}

function stepsFor(frame: Size, small: Size): Step[] {
  const steps: Step[] = [];
  let size = frame;
  if (halvedFirst(size[0], small[0]) && halvedFirst(size[1], small[1])) {
    size = [size[0] / 2, size[1] / 2];
    steps.push([size, true]);
  }
  const samples = samplesFor(size, small);
  if (!same(samples, size)) steps.push([samples, false]);
  for (const half of halvesFor(samples, small)) steps.push([half, true]);
  return steps;
}

function halvedFirst(side: number, small: number): boolean {
  return side % 2 === 0 && side >= 10 * small && side < 12 * small;
}

function samplesFor(size: Size, small: Size): Size {
  if (Math.min(Math.floor(size[0] / small[0]), Math.floor(size[1] / small[1])) < 2) return size;
  return [multiple(size[0], small[0]), multiple(size[1], small[1])];
}

function multiple(side: number, small: number): number {
  if (side % small === 0 && side <= FAST_AREA_LIMIT * small) return side;
  return small * (side < 5 * small ? 2 : side < 10 * small ? 4 : FAST_AREA_LIMIT);
}

function halvesFor(size: Size, small: Size): Size[] {
  const halves: Size[] = [];
  let now = size;
  while (now[0] % (2 * small[0]) === 0 && now[1] % (2 * small[1]) === 0) {
    now = [now[0] / 2, now[1] / 2];
    if (same(now, small)) break; // the resize that comes last does this one
    halves.push(now);
  }
  return halves;
}

function same(one: Size, other: Size): boolean {
  return one[0] === other[0] && one[1] === other[1];
}
