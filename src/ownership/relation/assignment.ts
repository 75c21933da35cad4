import { ArgumentError } from "../../errors";

/**
 * The optimal assignment: which column goes to each row, so that the sum of scores is largest and
 * no column has two rows. Where there are more rows than columns, the rows that are left have −1.
 *
 * Shortest augmenting paths with dual variables (Hungarian method in the form of Jonker and
 * Volgenant, "A shortest augmenting path algorithm for dense and sparse linear assignment
 * problems", Computing 38, 1987): O(r²·c) for r ≤ c rows and columns.
 * @param scores [rows, columns]
 * @throws ArgumentError for scores that are not finite.
 */
export function assigned(scores: ArrayLike<number>, rows: number, columns: number): Int32Array<ArrayBuffer> {
  // A path through what compares with nothing would never end.
  for (let i = 0; i < rows * columns; i++)
    if (!Number.isFinite(scores[i])) throw new ArgumentError(`finite scores expected, found ${scores[i]} at ${i}`);
  const found = new Int32Array(rows).fill(-1);
  if (rows <= columns) return assignRows((r, c) => -scores[r * columns + c]!, rows, columns);
  assignRows((c, r) => -scores[r * columns + c]!, columns, rows).forEach((r, c) => {
    found[r] = c;
  });
  return found;
}

/** The cheapest assignment of every row, where there are no more rows than columns. */
function assignRows(cost: (r: number, c: number) => number, rows: number, columns: number): Int32Array<ArrayBuffer> {
  const ofRow = new Int32Array(rows).fill(-1);
  const ofColumn = new Int32Array(columns).fill(-1);
  const rowDual = new Float64Array(rows);
  const columnDual = new Float64Array(columns);
  const distance = new Float64Array(columns);
  const before = new Int32Array(columns);
  const done = new Uint8Array(columns);
  for (let start = 0; start < rows; start++) {
    distance.fill(Number.POSITIVE_INFINITY);
    done.fill(0);
    let [row, reached, free] = [start, 0, -1];
    // From the row without a column, along the cheapest path to a column without a row.
    for (;;) {
      let nearest = -1;
      const offset = reached - rowDual[row]!;
      for (let c = 0; c < columns; c++) {
        if (done[c]) continue;
        const through = offset + cost(row, c) - columnDual[c]!;
        if (through < distance[c]!) {
          distance[c] = through;
          before[c] = row;
        }
        if (nearest < 0 || distance[c]! < distance[nearest]!) nearest = c;
      }
      reached = distance[nearest]!;
      done[nearest] = 1;
      if (ofColumn[nearest]! < 0) {
        free = nearest;
        break;
      }
      row = ofColumn[nearest]!;
    }
    // Reduced costs stay from 0, and are 0 along the path.
    rowDual[start]! += reached;
    for (let c = 0; c < columns; c++) {
      if (!done[c] || c === free) continue;
      const shift = reached - distance[c]!;
      columnDual[c]! -= shift;
      rowDual[ofColumn[c]!]! += shift;
    }
    for (let c = free; ; ) {
      const r = before[c]!;
      const was = ofRow[r]!;
      ofRow[r] = c;
      ofColumn[c] = r;
      if (r === start) break;
      c = was;
    }
  }
  return ofRow;
}
