/** Arrays as NumPy stores them: .npy files (format 1 to 3) and .npz archives of them; nothing pickled. */

import { corrupt, reason } from "./problem";
import { unzip } from "./zip";

/** An array in C order; what it holds is numbers, whatever it was stored as. */
export interface NdArray {
  readonly data: Uint8Array | Float32Array | Float64Array | Int32Array;
  readonly shape: readonly number[];
}

/**
 * Read a .npy file.
 *
 * @param bytes The whole file.
 * @param what What to call it in an error.
 * @throws Problem: it is damaged, or holds something else than numbers in C order.
 */
export function readNpy(bytes: Uint8Array, what: string): NdArray {
  try {
    return parse(bytes);
  } catch (error) {
    throw corrupt(`${what} must hold a plain array.`, reason(error));
  }
}

/** Read an .npz file: its arrays by name, without the suffix .npy. */
export async function readNpz(bytes: Uint8Array, what: string): Promise<Map<string, NdArray>> {
  const members = await unzip(bytes, what);
  return new Map([...members].map(([name, content]) => [name.replace(/\.npy$/, ""), readNpy(content, `${what}: ${name}`)]));
}

function parse(bytes: Uint8Array): NdArray {
  if (bytes.length < 12 || String.fromCharCode(...bytes.subarray(1, 6)) !== "NUMPY") throw new Error("no .npy file");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [length, begin] = bytes[6] === 1 ? [view.getUint16(8, true), 10] : [view.getUint32(8, true), 12];
  const header = new TextDecoder().decode(bytes.subarray(begin, begin + length));
  const type = /'descr':\s*'([^']+)'/.exec(header)?.[1];
  const shape = /'shape':\s*\(([^)]*)\)/.exec(header)?.[1];
  if (type === undefined || shape === undefined) throw new Error("a damaged header");
  if (/'fortran_order':\s*True/.test(header)) throw new Error("an array in Fortran order");
  const sides = shape.split(",").filter((side) => side.trim() !== "").map(Number);
  const count = sides.reduce((product, side) => product * side, 1);
  return { data: numbers(type, bytes.slice(begin + length), count), shape: sides };
}

function numbers(type: string, raw: Uint8Array<ArrayBuffer>, count: number): NdArray["data"] {
  const read = READERS[type];
  if (!read) throw new Error(`elements of type ${type}`);
  if (raw.length !== count * Number(type.slice(2))) throw new Error(`${raw.length} bytes for ${count} elements of ${type}`);
  return read(raw.buffer);
}

const READERS: Record<string, (buffer: ArrayBuffer) => NdArray["data"]> = {
  "|u1": (buffer) => new Uint8Array(buffer),
  "<i4": (buffer) => new Int32Array(buffer),
  "<i8": (buffer) => Float64Array.from(new BigInt64Array(buffer), Number),
  "<f2": (buffer) => Float32Array.from(new Uint16Array(buffer), half),
  "<f4": (buffer) => new Float32Array(buffer),
  "<f8": (buffer) => new Float64Array(buffer),
};

/** The value of an IEEE 754 half-precision number. */
function half(bits: number): number {
  const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
  const size =
    exponent === 0
      ? fraction * 2 ** -24
      : exponent === 31
        ? fraction === 0 ? Infinity : NaN
        : (1 + fraction / 1024) * 2 ** (exponent - 15);
  return bits & 0x8000 ? -size : size;
}
