import type { Socket } from 'node:net'
import { startRelay } from '../support/relay.ts'
import { readMessages } from './messages.ts'

/**
 * A way to PostgreSQL that knows its protocol: it counts statements as the server answers them, and does something at the
 * moment of one of them.
 */
export interface StatementProxy {
  /** The address of the database by this way. */
  uri: string
  /** Statements of the server's own pool that were answered (those of the job queue are another pool). */
  answered(): number
  /** Calls `then` when `count` more are answered. That answer is not passed on, and every connection ends. */
  after(count: number, then: () => void): void
  /** Milliseconds that everything takes longer, each way. */
  delay: number
  close(): Promise<void>
}

/** The pool whose statements count: `applicationName` of sql/connect.ts. */
const OWN_POOL = '\0application_name\0latchkey\0'
/** ReadyForQuery, which ends the answer to each statement (PostgreSQL manual, section 54.7). */
const READY_FOR_QUERY = 'Z'

/** Puts the proxy in front of the server of `uri`, which must not use TLS. */
export async function statementProxy(uri: string): Promise<StatementProxy> {
  let total = 0
  let fault: { left: number; then: () => void } | undefined
  /** Notes an answered statement; false when it is the one of the fault. */
  const note = (): boolean => {
    total++
    if (!fault || --fault.left > 0) return true
    const { then } = fault
    fault = undefined
    then()
    relay.drop()
    return false
  }
  const relay = await startRelay(uri, (client, server) => {
    let counts = false
    let first = true
    const answers = readMessages('server')
    let connecting = true
    const pass = createQueue(() => proxy.delay)
    const answer = createQueue(() => proxy.delay)
    client.on('data', (data: Buffer) => {
      if (first) counts = data.toString('latin1').includes(OWN_POOL)
      first = false
      pass(server, data)
    })
    server.on('data', (data: Buffer) => {
      if (counts)
        for (const { type } of answers(data)) {
          if (type !== READY_FOR_QUERY) continue
          // The first one says that the connection is ready.
          if (connecting) connecting = false
          else if (!note()) return
        }
      answer(client, data)
    })
  })
  const proxy: StatementProxy = {
    uri: relay.uri,
    answered: () => total,
    after: (count, then) => {
      fault = { left: count, then }
    },
    delay: 0,
    close: relay.close,
  }
  return proxy
}

/** Passes pieces on, each after the delay of its moment, and none before one that came earlier. */
function createQueue(delay: () => number): (to: Socket, data: Uint8Array) => void {
  const waiting: { due: number; to: Socket; data: Uint8Array }[] = []
  const flush = () => {
    for (let [next] = waiting; next && next.due <= performance.now(); [next] = waiting) {
      waiting.shift()
      next.to.write(next.data)
    }
    const [first] = waiting
    if (first) setTimeout(flush, Math.max(1, first.due - performance.now()))
  }
  return (to, data) => {
    if (waiting.length === 0 && delay() === 0) return void to.write(data)
    const due = Math.max(performance.now() + delay(), waiting.at(-1)?.due ?? 0)
    if (waiting.push({ due, to, data }) === 1) setTimeout(flush, Math.max(1, due - performance.now()))
  }
}
