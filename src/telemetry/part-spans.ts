import { currentFacts } from '../lib/current-request.ts'
import type { Tracing } from './tracing.ts'

/**
 * The same thing, whose methods `names` are spans of the request or job that runs, named `area method`; without tracing
 * the thing itself. Neither arguments nor results are looked at.
 */
export function withSpans<T extends object>(
  tracing: Pick<Tracing, 'part'> | undefined,
  area: string,
  thing: T,
  names: readonly (keyof T & string)[],
): T {
  if (!tracing) return thing
  const traced = names.map((name) => {
    const method = thing[name] as (...args: unknown[]) => Promise<unknown>
    return [
      name,
      (...args: unknown[]) =>
        tracing.part(`${area} ${name}`, currentFacts(), () => method.apply(thing, args)),
    ]
  })
  return { ...thing, ...Object.fromEntries(traced) }
}
