import type { Family, Point } from './metrics.ts'

/**
 * The figures of several processes as if they were one: counters, gauges and the buckets of histograms are added up, and
 * of what is the same for all (`shared`) the highest is taken. In the order of the first process.
 */
export function mergeFamilies(processes: readonly (readonly Family[])[]): Family[] {
  const merged = new Map<string, { family: Family; points: Map<string, Point> }>()
  for (const family of processes.flat()) {
    const found = merged.get(family.name) ?? { family, points: new Map<string, Point>() }
    merged.set(family.name, found)
    for (const point of family.points) {
      const key = JSON.stringify(point.values)
      const before = found.points.get(key)
      found.points.set(key, before ? together(before, point, family.shared) : point)
    }
  }
  return [...merged.values()].map(({ family, points }) => ({ ...family, points: [...points.values()] }))
}

function together(a: Point, b: Point, shared: true | undefined): Point {
  if (shared) return a.value >= b.value ? a : b
  const counts = a.counts?.map((count, index) => count + (b.counts?.[index] ?? 0))
  return { values: a.values, value: a.value + b.value, ...(counts && { counts }) }
}

/** What of a process that ended still counts: what it counted up. Else sums would go back when it dies. */
export const lasting = (families: readonly Family[]): Family[] =>
  families.filter(({ kind, shared }) => kind !== 'gauge' && !shared)
