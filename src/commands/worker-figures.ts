import type { ChildProcess } from 'node:child_process'
import { lasting, mergeFamilies } from '../telemetry/merge.ts'
import type { Family } from '../telemetry/metrics.ts'

/** Milliseconds that the others have to tell their figures: who does not answer is left out. */
const PATIENCE = 5_000

/** What goes between a server and the process that started it. `id` is the asker's own. */
type Message =
  /** To the parent: the figures of all of you. */
  | { figures: 'all'; id: number }
  /** From the parent: your own figures. */
  | { figures: 'own'; id: number }
  /** The answer to either. */
  | { figures: 'are'; id: number; families: Family[] }

const isMessage = (message: unknown): message is Message =>
  typeof message === 'object' && message !== null && 'figures' in message

/** Asks over a channel that takes `send`; `answered` is told of what comes back. */
function asker() {
  const waiting = new Map<number, (families: Family[] | undefined) => void>()
  let last = 0
  return {
    ask: (send: (id: number) => void): Promise<Family[] | undefined> =>
      new Promise((resolve) => {
        const id = ++last
        const timer = setTimeout(() => settle(undefined), PATIENCE)
        const settle = (families: Family[] | undefined) => {
          clearTimeout(timer)
          waiting.delete(id)
          resolve(families)
        }
        waiting.set(id, settle)
        send(id)
      }),
    answered: ({ id, families }: { id: number; families: Family[] }) => waiting.get(id)?.(families),
  }
}

/**
 * For a server among several: tells the parent its `own` figures when it is asked, and gives what reads those of all. Its
 * own alone when the parent does not answer.
 */
export function figuresOfAll(own: () => Promise<Family[]>): () => Promise<Family[]> {
  const { ask, answered } = asker()
  process.on('message', (message: unknown) => {
    if (!isMessage(message)) return
    if (message.figures === 'are') answered(message)
    else if (message.figures === 'own')
      void own().then((families) => process.send?.({ figures: 'are', id: message.id, families }))
  })
  return async () => (await ask((id) => process.send?.({ figures: 'all', id }))) ?? (await own())
}

/** For the parent: answers for all servers that it was told of, and remembers what those counted that ended. */
export function gatherFigures() {
  const servers = new Map<ChildProcess, { ask: ReturnType<typeof asker>; last: Family[] }>()
  let ended: Family[] = []
  const all = async (): Promise<Family[]> => {
    const answers = [...servers].map(async ([child, server]) => {
      const families = await server.ask.ask((id) => void child.send({ figures: 'own', id }))
      if (families) server.last = families
      return families ?? server.last
    })
    const living = await Promise.all(answers)
    // Behind the living, whose order it takes.
    return mergeFamilies([...living, ended])
  }
  return {
    add(child: ChildProcess): void {
      const ask = asker()
      servers.set(child, { ask, last: [] })
      child.on('message', (message: unknown) => {
        if (!isMessage(message)) return
        if (message.figures === 'are') ask.answered(message)
        else if (message.figures === 'all')
          void all().then((families) => {
            if (child.connected) child.send({ figures: 'are', id: message.id, families })
          })
      })
      child.once('exit', () => {
        ended = mergeFamilies([ended, lasting(servers.get(child)?.last ?? [])])
        servers.delete(child)
      })
    },
  }
}
