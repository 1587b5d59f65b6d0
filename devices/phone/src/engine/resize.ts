/**
 * Resizing pictures of 8 bits per channel as OpenCV does, to the last bit: bilinear in fixed point (`INTER_LINEAR`) and
 * the average of what a pixel covers (`INTER_AREA`). Sums are rounded where OpenCV rounds them.
 */

import type { Size } from "./geometry";

/** Three channels of a picture that may lie inside a larger one; steps in bytes. */
export interface Pixels {
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly offset: number;
  readonly row: number;
  /** From one pixel to the next: 3, or 4 where there is a fourth channel to be passed over. */
  readonly step: number;
  readonly width: number;
  readonly height: number;
}

const CHANNELS = 3;
const ONE = 2048;
const { fround } = Math;

/** A picture of its own of three channels; values stored into it are rounded, halves to the even one. */
export function blank([width, height]: Size): Pixels {
  return { data: new Uint8ClampedArray(width * height * CHANNELS), offset: 0, row: width * CHANNELS, step: CHANNELS, width, height };
}

/** A resize between two fixed sizes, its tables made once. */
export type Resizer = (source: Pixels, target: Pixels) => void;

/**
 * Prepare a resize.
 *
 * @param area Whether every covered pixel counts; else four neighbours do. Area shrinks, or keeps, both sides.
 */
export function resizer(from: Size, to: Size, area: boolean): Resizer {
  if (from[0] === to[0] && from[1] === to[1]) return copy;
  const [x, y] = [from[0] / to[0], from[1] / to[1]];
  const whole = Number.isInteger(x) && Number.isInteger(y);
  if (whole && x === 2 && y === 2) return halve;
  if (!area) return bilinear(from, to);
  return whole ? blocks(x, y) : averages(from, to);
}

function copy(source: Pixels, target: Pixels): void {
  for (let y = 0; y < target.height; y++) {
    let from = source.offset + y * source.row;
    for (let to = y * target.row, end = to + target.row; to < end; to += CHANNELS, from += source.step) {
      for (let c = 0; c < CHANNELS; c++) target.data[to + c] = source.data[from + c];
    }
  }
}

/** Means of 2 × 2 pixels, halves rounded up. */
function halve(source: Pixels, target: Pixels): void {
  const { data, step, row } = source;
  for (let y = 0; y < target.height; y++) {
    let from = source.offset + 2 * y * row;
    for (let to = y * target.row, end = to + target.row; to < end; to += CHANNELS, from += 2 * step) {
      for (let c = 0, at = from; c < CHANNELS; c++, at++) {
        target.data[to + c] = (data[at] + data[at + step] + data[at + row] + data[at + row + step] + 2) >> 2;
      }
    }
  }
}

/** Means of whole blocks of pixels. */
function blocks(width: number, height: number): Resizer {
  const share = fround(1 / (width * height));
  return (source, target) => {
    const { data, step, row } = source;
    for (let y = 0; y < target.height; y++) {
      for (let x = 0, to = y * target.row; x < target.width; x++, to += CHANNELS) {
        const from = source.offset + y * height * row + x * width * step;
        let [red, green, blue] = [0, 0, 0];
        for (let j = 0; j < height; j++) {
          for (let at = from + j * row, end = at + width * step; at < end; at += step) {
            red += data[at];
            green += data[at + 1];
            blue += data[at + 2];
          }
        }
        target.data[to] = fround(red * share);
        target.data[to + 1] = fround(green * share);
        target.data[to + 2] = fround(blue * share);
      }
    }
  };
}

interface Cover {
  /** First covered pixel of each result, and the one after the last. */
  readonly first: Int32Array;
  readonly weights: readonly Float32Array[];
}

/** Means over fractions of pixels, in single precision and in OpenCV's order. */
function averages(from: Size, to: Size): Resizer {
  const across = cover(from[0], to[0]);
  const down = cover(from[1], to[1]);
  const line = new Float32Array(to[0] * CHANNELS);
  const sums = new Float32Array(to[0] * CHANNELS);
  return (source, target) => {
    for (let y = 0; y < target.height; y++) {
      const weights = down.weights[y];
      for (let j = 0; j < weights.length; j++) {
        averageLine(source, down.first[y] + j, across, line);
        const weight = weights[j];
        if (j === 0) for (let i = 0; i < line.length; i++) sums[i] = weight * line[i];
        else for (let i = 0; i < line.length; i++) sums[i] += fround(weight * line[i]);
      }
      target.data.set(sums, y * target.row);
    }
  };
}

function averageLine(source: Pixels, y: number, across: Cover, line: Float32Array): void {
  const { data, step } = source;
  const begin = source.offset + y * source.row;
  for (let x = 0, to = 0; to < line.length; x++, to += CHANNELS) {
    const weights = across.weights[x];
    let at = begin + across.first[x] * step;
    let [red, green, blue] = [0, 0, 0];
    for (let i = 0; i < weights.length; i++, at += step) {
      const weight = weights[i];
      red = fround(red + fround(data[at] * weight));
      green = fround(green + fround(data[at + 1] * weight));
      blue = fround(blue + fround(data[at + 2] * weight));
    }
    line[to] = red;
    line[to + 1] = green;
    line[to + 2] = blue;
  }
}

/** Which pixels each result covers, and how much of it they are; slivers below a thousandth of a pixel are left out. */
function cover(from: number, to: number): Cover {
  const scale = 1 / (to / from);
  const first = new Int32Array(to);
  const weights = Array.from({ length: to }, (_, i) => {
    const begin = i * scale;
    const end = begin + scale;
    const width = Math.min(scale, from - begin);
    const last = Math.min(Math.floor(end), from - 1);
    const inner = Math.min(Math.ceil(begin), last);
    const shares: number[] = [];
    const before = inner - begin > 1e-3;
    if (before) shares.push((inner - begin) / width);
    for (let j = inner; j < last; j++) shares.push(1 / width);
    if (end - last > 1e-3) shares.push(Math.min(Math.min(end - last, 1), width) / width);
    first[i] = before ? inner - 1 : inner;
    return Float32Array.from(shares);
  });
  return { first, weights };
}

interface Neighbours {
  readonly near: Int32Array;
  readonly far: Int32Array;
  readonly nearWeight: Int32Array;
  readonly farWeight: Int32Array;
}

/** Bilinear interpolation with weights of 11 bits. */
function bilinear(from: Size, to: Size): Resizer {
  const across = neighbours(from[0], to[0], true);
  const down = neighbours(from[1], to[1], false);
  const lines = [new Int32Array(to[0] * CHANNELS), new Int32Array(to[0] * CHANNELS)];
  return (source, target) => {
    const held = [-1, -1];
    const lineOf = (y: number, keep: number): number => {
      const there = held.indexOf(y);
      if (there >= 0) return there;
      const place = held[0] === keep ? 1 : 0;
      sampleLine(source, y, across, lines[place]);
      held[place] = y;
      return place;
    };
    for (let y = 0; y < target.height; y++) {
      const near = lines[lineOf(down.near[y], down.far[y])];
      const far = lines[lineOf(down.far[y], down.near[y])];
      blend(near, far, down.nearWeight[y], down.farWeight[y], target.data, y * target.row);
    }
  };
}

function sampleLine(source: Pixels, y: number, across: Neighbours, line: Int32Array): void {
  const { data, step } = source;
  const { near, far, nearWeight, farWeight } = across;
  const begin = source.offset + y * source.row;
  for (let x = 0, to = 0; to < line.length; x++, to += CHANNELS) {
    const [one, other] = [begin + near[x] * step, begin + far[x] * step];
    for (let c = 0; c < CHANNELS; c++) line[to + c] = data[one + c] * nearWeight[x] + data[other + c] * farWeight[x];
  }
}

function blend(near: Int32Array, far: Int32Array, one: number, other: number, out: Pixels["data"], at: number): void {
  for (let i = 0; i < near.length; i++) {
    out[at + i] = (((one * (near[i] >> 4)) >> 16) + ((other * (far[i] >> 4)) >> 16) + 2) >> 2;
  }
}

/**
 * The two samples that each result lies between, and their weights.
 *
 * @param whole Whether a result at the border is its one sample, as in a line; else, as in a column, that sample twice with
 *   both weights, which are rounded apart.
 */
function neighbours(from: number, to: number, whole: boolean): Neighbours {
  const [near, far, nearWeight, farWeight] = [new Int32Array(to), new Int32Array(to), new Int32Array(to), new Int32Array(to)];
  const scale = 1 / (to / from);
  for (let i = 0; i < to; i++) {
    const place = fround((i + 0.5) * scale - 0.5);
    const floor = Math.floor(place);
    const inside = floor >= 0 && floor < from - 1;
    const share = inside || !whole ? fround(place - floor) : 0;
    near[i] = Math.min(Math.max(floor, 0), from - 1);
    far[i] = Math.min(Math.max(floor + 1, 0), from - 1);
    nearWeight[i] = even(fround(fround(1 - share) * ONE));
    farWeight[i] = even(fround(share * ONE));
  }
  return { near, far, nearWeight, farWeight };
}

/** The nearest whole number, halves to the even one. */
export function even(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
}
