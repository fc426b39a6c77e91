import { fetchLocal } from '../../http/outgoing.ts'

/** The lines of a child's output as they come. */
export async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    yield* lines
  }
  if (rest) yield rest
}

/** The last `count` lines of a text that are not blank. */
export const lastLines = (text: string, count: number): string =>
  text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .slice(-count)
    .join('\n')

/**
 * Waits until `url` answers with a success. `exited` settling first means that the process is gone. Throws an Error
 * when it is gone, when `seconds` have passed, or when `signal` aborts. `log` gets a line every 10 seconds.
 */
export async function waitUntilUp(options: {
  name: string
  url: string
  exited: Promise<unknown>
  log: (line: string) => void
  seconds: number
  signal?: AbortSignal | undefined
}): Promise<void> {
  const { name, url, log, seconds, signal } = options
  let gone = false
  options.exited.then(
    () => {
      gone = true
    },
    () => {
      gone = true
    },
  )
  const pauseMs = 200
  for (let waited = 0; waited < seconds * 1000; waited += pauseMs) {
    signal?.throwIfAborted()
    if (gone) throw new Error(`${name} stopped while it was starting.`)
    try {
      const response = await fetchLocal(url, { signal: AbortSignal.timeout(2_000) })
      await response.arrayBuffer()
      if (response.ok) return
    } catch {
      // Not yet: nothing listens, or it does not answer.
    }
    if (waited > 0 && waited % 10_000 === 0) log(`  still waiting for ${name} (${waited / 1000} s)`)
    await Bun.sleep(pauseMs)
  }
  throw new Error(`${name} did not answer at ${url} within ${seconds} seconds.`)
}

/** Asks a child to stop, and ends it by force when it has not within `graceMs`. */
export async function stopProcess(child: Bun.Subprocess, graceMs = 10_000): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), graceMs)
  await child.exited
  clearTimeout(timer)
}
