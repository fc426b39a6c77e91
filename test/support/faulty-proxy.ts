import { startRelay } from './relay.ts'

/** A way to a database that can lose a connection at an exact point of a conversation. */
export interface FaultyProxy {
  uri: string
  /**
   * Lets `answers` more packets of the server through. The next one is swallowed, though the server did what was asked,
   * and every connection breaks; new ones work again.
   */
  breakAfter(answers: number): void
  /** Takes back a fault that did not happen. */
  heal(): void
  /** Packets of the server that came through. */
  answers(): number
  close(): Promise<void>
}

/**
 * Puts a proxy in front of the server of `uri`. Unlike `proxy` of the test support, which is down until it is restored,
 * this one fails once, after a commit whose answer is then lost.
 */
export async function faultyProxy(uri: string): Promise<FaultyProxy> {
  let left = Number.POSITIVE_INFINITY
  let passed = 0
  const relay = await startRelay(uri, (client, server) => {
    client.on('data', (data) => server.write(data))
    server.on('data', (data) => {
      if (left-- > 0) {
        passed++
        client.write(data)
        return
      }
      left = Number.POSITIVE_INFINITY
      relay.drop()
    })
  })
  return {
    uri: relay.uri,
    breakAfter: (answers) => {
      left = answers
    },
    heal: () => {
      left = Number.POSITIVE_INFINITY
    },
    answers: () => passed,
    close: relay.close,
  }
}
