/**
 * Figures of this process: plain numbers in memory, so that counting costs next to nothing whether or not somebody reads
 * them. `prometheus.ts` writes them as text, `otlp.ts` hands them to OpenTelemetry.
 */

/** What one instrument has at the moment. */
export interface Family {
  /** With dots, as OpenTelemetry writes names. */
  name: string
  kind: 'counter' | 'gauge' | 'histogram'
  help: string
  /** In UCUM: `ms`, `s`, `By`; empty for a plain number. */
  unit: string
  labels: readonly string[]
  points: readonly Point[]
  /** Every process has the same number, looked up at the same place: of several the highest is meant, not the sum. */
  shared?: true
}

/** One combination of label values. Counts of a histogram are by bucket, the last one for everything above. */
export interface Point {
  values: readonly string[]
  value: number
  counts?: readonly number[]
}

/** Counts up. Label values come in the order of the labels, and must be few: never an id, an address or a name. */
export interface Counter {
  add(...values: string[]): void
}

/** Sorts numbers into buckets. */
export interface Histogram {
  record(value: number, ...values: string[]): void
}

/** Goes up and down. */
export interface Gauge {
  change(by: number, ...values: string[]): void
}

interface Description {
  name: string
  help: string
  unit?: string
  labels?: readonly string[]
}

/** Upper bounds of buckets, milliseconds: OpenTelemetry's defaults. */
export const BOUNDS = [0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10_000] as const

/** Combinations of label values that one instrument remembers; a mistake in a label must not eat the memory. */
const MOST = 2000

/** Makes instruments and reads them. */
export interface Registry {
  counter(description: Description): Counter
  gauge(description: Description): Gauge
  histogram(description: Description): Histogram
  /** What is looked up when somebody reads: rows of label values and a number. Failing gives no points. */
  observed(
    description: Description & { kind?: 'counter' | 'gauge'; shared?: true },
    read: () => Iterable<Observation> | Promise<Iterable<Observation>>,
  ): void
  read(): Promise<Family[]>
}

/** A number, and the label values that it is for. */
export type Observation = readonly [value: number, ...values: string[]]

/** An empty registry. */
export function createRegistry(): Registry {
  const sources: (() => Family | Promise<Family>)[] = []
  const familyOf = (kind: Family['kind'], description: Description, points: Family['points']): Family => ({
    name: description.name,
    help: description.help,
    kind,
    unit: description.unit ?? '',
    labels: description.labels ?? [],
    points,
  })
  const summed = (kind: 'counter' | 'gauge', description: Description) => {
    const points = new Map<string, { values: readonly string[]; value: number }>()
    sources.push(() => familyOf(kind, description, [...points.values()]))
    return (by: number, values: readonly string[]) => {
      const key = values.length === 1 ? (values[0] ?? '') : values.join('\n')
      const point = points.get(key)
      if (point) point.value += by
      else if (points.size < MOST) points.set(key, { values, value: by })
    }
  }
  return {
    counter(description) {
      const add = summed('counter', description)
      return { add: (...values) => add(1, values) }
    },
    gauge(description) {
      const add = summed('gauge', description)
      return { change: (by, ...values) => add(by, values) }
    },
    histogram(description) {
      const points = new Map<string, { values: readonly string[]; value: number; counts: number[] }>()
      sources.push(() => familyOf('histogram', description, [...points.values()]))
      return {
        record(value, ...values) {
          const key = values.join('\n')
          let point = points.get(key)
          if (!point) {
            if (points.size >= MOST) return
            point = { values, value: 0, counts: new Array<number>(BOUNDS.length + 1).fill(0) }
            points.set(key, point)
          }
          point.value += value
          const bucket = BOUNDS.findIndex((bound) => value <= bound)
          const at = bucket < 0 ? BOUNDS.length : bucket
          point.counts[at] = (point.counts[at] ?? 0) + 1
        },
      }
    },
    observed(description, read) {
      sources.push(async () => {
        const points: Point[] = []
        try {
          for (const [value, ...values] of await read()) points.push({ values, value })
        } catch {
          // An outage: what can't be asked now has no figure.
        }
        const family = familyOf(description.kind ?? 'gauge', description, points)
        return description.shared ? { ...family, shared: true } : family
      })
    },
    read: () => Promise.all(sources.map((source) => source())),
  }
}
