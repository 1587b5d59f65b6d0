/** ZIP archives as bundles and NumPy write them: stored or deflated members, at most 4 GiB, no encryption. */

import { corrupt, reason } from "./problem";

const END = 0x06054b50;
const ENTRY = 0x02014b50;
const LOCAL = 0x04034b50;
const END_SIZE = 22;
const LONGEST_COMMENT = 0xffff;

interface Entry {
  name: string;
  method: number;
  sum: number;
  packed: number;
  size: number;
  local: number;
}

/**
 * Contents of every member, by name.
 *
 * @param bytes The whole archive.
 * @param what What to call it in an error.
 * @throws Problem: it is damaged, or packed in a way that is not read here.
 */
export async function unzip(bytes: Uint8Array, what: string): Promise<Map<string, Uint8Array>> {
  try {
    const members = new Map<string, Uint8Array>();
    for (const entry of entries(bytes)) {
      if (members.has(entry.name)) throw new Error(`${entry.name} twice`);
      members.set(entry.name, await content(bytes, entry));
    }
    return members;
  } catch (error) {
    throw corrupt(`${what} must be a whole ZIP archive.`, `${bytes.length} bytes (${reason(error)})`);
  }
}

function entries(bytes: Uint8Array): Entry[] {
  const view = viewOf(bytes);
  const end = findEnd(view);
  const found: Entry[] = [];
  let at = view.getUint32(end + 16, true);
  for (let left = view.getUint16(end + 10, true); left > 0; left--) {
    if (view.getUint32(at, true) !== ENTRY) throw new Error("a damaged directory");
    const [name, extra, comment] = [28, 30, 32].map((field) => view.getUint16(at + field, true)) as [number, number, number];
    found.push({
      name: new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(at + 46, at + 46 + name)),
      method: view.getUint16(at + 10, true),
      sum: view.getUint32(at + 16, true),
      packed: view.getUint32(at + 20, true),
      size: view.getUint32(at + 24, true),
      local: view.getUint32(at + 42, true),
    });
    at += 46 + name + extra + comment;
  }
  return found;
}

function findEnd(view: DataView): number {
  const last = view.byteLength - END_SIZE;
  for (let at = last; at >= Math.max(0, last - LONGEST_COMMENT); at--) {
    if (view.getUint32(at, true) === END) return at;
  }
  throw new Error("no directory at its end");
}

async function content(bytes: Uint8Array, entry: Entry): Promise<Uint8Array> {
  const view = viewOf(bytes);
  if (view.getUint32(entry.local, true) !== LOCAL) throw new Error(`${entry.name} is not where the directory says`);
  // The lengths beside the content may differ from the directory's: NumPy adds a field for large files here only.
  const begin = entry.local + 30 + view.getUint16(entry.local + 26, true) + view.getUint16(entry.local + 28, true);
  const packed = bytes.subarray(begin, begin + entry.packed);
  if (packed.length !== entry.packed) throw new Error(`${entry.name} is cut off`);
  const plain = entry.method === 0 ? packed : await inflate(packed, entry);
  if (plain.length !== entry.size || checksum(plain) !== entry.sum) throw new Error(`${entry.name} is damaged`);
  return plain;
}

async function inflate(packed: Uint8Array, entry: Entry): Promise<Uint8Array> {
  if (entry.method !== 8) throw new Error(`${entry.name} is packed by method ${entry.method}`);
  const stream = new Blob([packed as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** CRC-32 of ISO 3309, as ZIP has it; the manifest has no other guard. */
function checksum(bytes: Uint8Array): number {
  let sum = -1;
  for (let i = 0; i < bytes.length; i++) sum = (sum >>> 8) ^ TABLE[(sum ^ bytes[i]) & 255];
  return (sum ^ -1) >>> 0;
}

const TABLE = Int32Array.from({ length: 256 }, (_, value) => {
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
