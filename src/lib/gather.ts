/** How a gathered question is asked. */
export interface GatherOptions {
  /** Batches under way at once: what comes meanwhile waits for the next one. */
  atOnce: number
  /** Keys in one batch at most. */
  atMost: number
}

interface Waiting<Key, Answer> {
  key: Key
  resolve: (answer: Answer) => void
  reject: (reason: unknown) => void
}

/**
 * Asks for many keys with one question. While fewer than `atOnce` batches are under way, every key that comes is asked for
 * at once; then keys wait, and go together as soon as a batch has its answer. So a quiet service asks as if there were no
 * batches, and a busy one asks less often the busier it is.
 *
 * `ask` gives the answers in the order of the keys. What it throws is thrown to everyone of its batch.
 */
export function gather<Key, Answer>(
  ask: (keys: Key[]) => Promise<Answer[]>,
  { atOnce, atMost }: GatherOptions,
): (key: Key) => Promise<Answer> {
  let waiting: Waiting<Key, Answer>[] = []
  let underWay = 0
  const send = async (): Promise<void> => {
    underWay++
    while (waiting.length > 0) {
      const batch = waiting.length <= atMost ? waiting : waiting.slice(0, atMost)
      waiting = waiting.length <= atMost ? [] : waiting.slice(atMost)
      try {
        const answers = await ask(batch.map(({ key }) => key))
        for (const [at, { resolve }] of batch.entries()) resolve(answers[at] as Answer)
      } catch (error) {
        for (const { reject } of batch) reject(error)
      }
    }
    underWay--
  }
  return (key) =>
    new Promise((resolve, reject) => {
      waiting.push({ key, resolve, reject })
      if (underWay < atOnce) void send()
    })
}
