/** One `.edge` file: opened, and every member checked against its hash, before anything of it is used. */

import { readManifest, type FileEntry, type Manifest } from "./manifest";
import { readNpy, readNpz, type NdArray } from "./npy";
import { corrupt, Problem } from "./problem";
import { unzip } from "./zip";

/** An opened bundle. */
export class Bundle {
  private constructor(
    readonly manifest: Manifest,
    /** Length of the `.edge` file in bytes. */
    readonly sizeBytes: number,
    private readonly members: ReadonlyMap<string, Uint8Array>,
  ) {}

  /**
   * Open a bundle from memory.
   *
   * @throws Problem: it is damaged or altered, holds coded models, or is of a newer schema; or the page was not loaded
   *   securely, where browsers compute no hashes.
   */
  static async open(bytes: Uint8Array): Promise<Bundle> {
    if (!globalThis.crypto?.subtle) {
      throw new Problem("insecure", "A bundle can only be checked on a page that was loaded over https or from localhost.");
    }
    const members = await unzip(bytes, "A bundle");
    const manifest = members.get("manifest.json");
    if (!manifest) throw corrupt("A bundle must hold a manifest.json.", "none");
    members.delete("manifest.json");
    const read = readManifest(manifest);
    await checkMembers(read, members);
    return new Bundle(read, bytes.length, members);
  }

  /** Content of one member. */
  read(name: string): Uint8Array {
    const member = this.members.get(name);
    if (!member) throw corrupt("A bundle must hold every file it names.", `no ${name}`);
    return member;
  }

  /** The arrays of an .npz member. */
  readArrays(name: string): Promise<Map<string, NdArray>> {
    return readNpz(this.read(name), name);
  }

  /** The array of an .npy member. */
  readArray(name: string): NdArray {
    return readNpy(this.read(name), name);
  }
}

async function checkMembers(manifest: Manifest, members: ReadonlyMap<string, Uint8Array>): Promise<void> {
  const listed = Object.entries(manifest.files);
  const odd = [...members.keys()].find((name) => !(name in manifest.files)) ?? listed.find(([name]) => !members.has(name))?.[0];
  if (odd !== undefined) throw corrupt("A bundle must hold exactly the files its manifest lists.", `a difference in ${odd}`);
  for (const [name, entry] of listed) await checkMember(name, entry, members.get(name) as Uint8Array);
}

async function checkMember(name: string, entry: FileEntry, content: Uint8Array): Promise<void> {
  const hash = await crypto.subtle.digest("SHA-256", content as Uint8Array<ArrayBuffer>);
  const text = Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (content.length !== entry.size_bytes || text !== entry.sha256) {
    throw corrupt("Every file in a bundle must match its hash.", `an altered ${name}`);
  }
  if (entry.rebuilt) {
    throw corrupt("A page needs models that are stored plainly.", `a coded ${name}`, "Run: edge-sdk phone build BUNDLE -o site");
  }
}
