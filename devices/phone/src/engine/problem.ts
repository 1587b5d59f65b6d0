/** What went wrong, in words a person can act on. */

/** Where a problem lies, so that the page can tell more about it than the message does. */
export type ProblemKind = "bundle" | "version" | "browser" | "insecure" | "camera" | "denied" | "network";

/** An error whose message is one sentence each: the rule, what was received, the fix. */
export class Problem extends Error {
  override readonly name = "Problem";

  constructor(
    readonly kind: ProblemKind,
    message: string,
    cause?: unknown,
  ) {
    super(message, { cause });
  }
}

/** The problem of a bundle that cannot be used as it is. */
export function corrupt(rule: string, received: string, fix = "Build the page again from a whole bundle."): Problem {
  return new Problem("bundle", `${rule} Received: ${received}. ${fix}`);
}

/** The text of whatever was thrown. */
export function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
