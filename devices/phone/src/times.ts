/** Milliseconds per stage of the latest classifications. */

/** Median and 95th percentile of one stage, in milliseconds. */
export interface Percentiles {
  readonly stage: string;
  readonly median: number;
  readonly p95: number;
}

/** A ring of the latest measurements of each stage; `total` is their sum. */
export class StageTimes {
  private readonly rows: number[][] = [];
  private next = 0;

  constructor(
    readonly stages: readonly string[],
    private readonly length = 120,
  ) {}

  record(milliseconds: readonly number[]): void {
    this.rows[this.next] = [...milliseconds, milliseconds.reduce((sum, one) => sum + one, 0)];
    this.next = (this.next + 1) % this.length;
  }

  /** One entry per stage, the total last; empty before the first measurement. */
  summary(): Percentiles[] {
    if (this.rows.length === 0) return [];
    return [...this.stages, "total"].map((stage, i) => {
      const sorted = this.rows.map((row) => row[i]).sort((one, other) => one - other);
      const at = (share: number): number => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
      return { stage, median: at(0.5), p95: at(0.95) };
    });
  }
}
