/** How the embeddings of one class scatter around their mean; see the runtime's module of the same name. */

const EQUAL = 0.5;
/** Least scatter, as a share of the mean square of the embeddings. */
const FINEST = 1e-4;
const TINY = 1e-12;

/** A table of vectors, row by row. */
export interface Rows {
  readonly data: Float64Array;
  readonly width: number;
}

/** A vector at length 1; a zero vector stays zero. */
export function unit(vector: ArrayLike<number>): Float64Array {
  let square = 0;
  for (let i = 0; i < vector.length; i++) square += vector[i] ** 2;
  return Float64Array.from(vector, (value) => value / Math.max(Math.sqrt(square), TINY));
}

/** Mean of every class. */
export function classMeans(rows: Rows, labels: ArrayLike<number>, classes: number): Rows {
  const { data, width } = rows;
  const means = new Float64Array(classes * width);
  const counts = new Float64Array(classes);
  for (let row = 0; row < labels.length; row++) {
    counts[labels[row]]++;
    for (let i = 0; i < width; i++) means[labels[row] * width + i] += data[row * width + i];
  }
  return { data: means.map((sum, at) => sum / Math.max(counts[Math.floor(at / width)], 1)), width };
}

/**
 * The Cholesky factor L of the covariance that all classes share, half of it taken to be equal in all directions:
 * the length of L⁻¹ (x - m) is the Mahalanobis distance of x and m. Lower triangular, row by row.
 */
export function factor(rows: Rows, labels: ArrayLike<number>, means: Rows): Float64Array {
  const { data, width } = rows;
  const residuals = data.map((value, at) => value - means.data[labels[Math.floor(at / width)] * width + (at % width)]);
  const free = Math.max(1, labels.length - new Set(Array.from(labels)).size);
  const covariance = new Float64Array(width * width);
  for (let row = 0; row < residuals.length; row += width) {
    for (let i = 0; i < width; i++) {
      for (let j = 0; j <= i; j++) covariance[i * width + j] += (residuals[row + i] * residuals[row + j]) / free;
    }
  }
  let trace = 0;
  for (let i = 0; i < width; i++) trace += covariance[i * width + i];
  for (let at = 0; at < covariance.length; at++) covariance[at] *= 1 - EQUAL;
  const square = data.reduce((sum, value) => sum + value ** 2, 0) / data.length;
  for (let i = 0; i < width; i++) covariance[i * width + i] += EQUAL * Math.max(trace / width, FINEST * square, TINY);
  return cholesky(covariance, width);
}

/** L⁻¹ x by forward substitution. */
export function solve(lower: Float64Array, vector: ArrayLike<number>): Float64Array {
  const width = vector.length;
  const out = new Float64Array(width);
  for (let i = 0; i < width; i++) {
    let sum = vector[i];
    for (let j = 0; j < i; j++) sum -= lower[i * width + j] * out[j];
    out[i] = sum / lower[i * width + i];
  }
  return out;
}

/** In place; what stands above the diagonal is left over. */
function cholesky(matrix: Float64Array, width: number): Float64Array {
  for (let j = 0; j < width; j++) {
    for (let i = j; i < width; i++) {
      let sum = matrix[i * width + j];
      for (let k = 0; k < j; k++) sum -= matrix[i * width + k] * matrix[j * width + k];
      matrix[i * width + j] = i === j ? Math.sqrt(sum) : sum / matrix[j * width + j];
    }
  }
  return matrix;
}
