import { expect, test } from 'bun:test'
import { getEventListeners } from 'node:events'
import { pause } from '../../src/commands/stopping.ts'

/** Longer than a test may take: only an abort ends it. */
const FOREVER = 3_600_000

test('pause: ends after its time, and leaves nothing on the signal of a process that runs for months', async () => {
  const stop = new AbortController()
  const waiting = pause(1, stop.signal)
  expect(getEventListeners(stop.signal, 'abort')).toHaveLength(1)
  await waiting
  expect(getEventListeners(stop.signal, 'abort')).toHaveLength(0)
})

test('pause: an abort ends it at once, also one that came before', async () => {
  const stop = new AbortController()
  const waiting = pause(FOREVER, stop.signal)
  stop.abort()
  await waiting
  await pause(FOREVER, stop.signal)
  expect(getEventListeners(stop.signal, 'abort')).toHaveLength(0)
})
