import { type Document, isMap, isNode, isScalar, isSeq, type LineCounter, type Node } from 'yaml'
import type { Path } from './report.ts'

/** Which line of a YAML text says what is at a path, or the nearest part above it; undefined for an empty text. */
export type LineOf = (path: Path) => number | undefined

/** Finds lines in a document that was parsed with this counter. */
export const linesOf =
  (document: Document, counter: LineCounter): LineOf =>
  (path) => {
    let node: unknown = document.contents
    let found: Node | undefined
    for (const step of path) {
      const next = stepInto(node, step)
      if (next === undefined) break
      found = next.named
      node = next.value
    }
    const offset = found?.range?.[0]
    return offset === undefined ? undefined : counter.linePos(offset).line
  }

/** One key or list position further down: the node that names it, and what is there. */
function stepInto(node: unknown, step: string | number): { named: Node; value: unknown } | undefined {
  if (isMap(node)) {
    const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(step))
    return pair && { named: pair.key as Node, value: pair.value }
  }
  const item = isSeq(node) ? node.items[Number(step)] : undefined
  return item === undefined ? undefined : { named: item as Node, value: item }
}

/** The line on which the last thing of a document begins: in a broken one what was never closed. */
export function lastLineOf(document: Document, counter: LineCounter): number | undefined {
  let node: unknown = document.contents
  for (;;) {
    const last: unknown = isMap(node) ? node.items.at(-1)?.value : isSeq(node) ? node.items.at(-1) : undefined
    if (last === undefined || last === null) break
    node = last
  }
  const offset = isNode(node) ? node.range?.[0] : undefined
  return offset === undefined ? undefined : counter.linePos(offset).line
}
