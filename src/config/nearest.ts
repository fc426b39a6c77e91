/** The number of single-character edits (insert, delete, replace, swap of neighbours) between two texts. */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      let best = Math.min(at(last, j) + 1, at(row, j - 1) + 1, at(last, j - 1) + (same ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        best = Math.min(best, at(beforeLast, j - 2) + 1)
      }
      row.push(best)
    }
    beforeLast = last
    last = row
  }
  return at(last, b.length)
}

const at = (row: readonly number[], index: number): number => row[index] ?? 0

/** The candidate with the fewest edits from `word` (the first of several); undefined when there are none. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  let found: string | undefined
  let least = Number.POSITIVE_INFINITY
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase())
    if (distance < least) {
      least = distance
      found = candidate
    }
  }
  return found
}

/** Whether two words are so close that one is likely a slip for the other: at most a third of the letters differ. */
export const isSlip = (word: string, other: string): boolean =>
  editDistance(word.toLowerCase(), other.toLowerCase()) <= Math.max(1, Math.floor(word.length / 3))
