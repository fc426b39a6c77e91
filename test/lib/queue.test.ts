import { describe, expect, test } from 'bun:test'
import { createQueue } from '../../src/lib/queue.ts'

const full = () => new Error('full')

describe('createQueue', () => {
  test('runs no more than allowed at once, in the order they came', async () => {
    const enqueue = createQueue({ running: 2, waiting: 10 }, full)
    const started: number[] = []
    let running = 0
    let most = 0
    const task = (id: number) => async () => {
      started.push(id)
      most = Math.max(most, ++running)
      await Promise.resolve()
      running--
      return id
    }
    expect(await Promise.all([0, 1, 2, 3, 4, 5].map((id) => enqueue(task(id))))).toEqual([0, 1, 2, 3, 4, 5])
    expect({ most, started }).toEqual({ most: 2, started: [0, 1, 2, 3, 4, 5] })
  })

  test('refuses what does not fit, at once, and takes more when there is room again', async () => {
    const enqueue = createQueue({ running: 1, waiting: 1 }, full)
    const gate = Promise.withResolvers<void>()
    const first = enqueue(() => gate.promise)
    const second = enqueue(async () => 'second')
    await expect(enqueue(async () => 'third')).rejects.toThrow('full')
    gate.resolve()
    await first
    expect(await second).toBe('second')
    expect(await enqueue(async () => 'fourth')).toBe('fourth')
  })

  test('a task that fails frees its place', async () => {
    const enqueue = createQueue({ running: 1, waiting: 0 }, full)
    const failing = enqueue(() => Promise.reject(new Error('broken')))
    await expect(failing).rejects.toThrow('broken')
    expect(await enqueue(async () => 'next')).toBe('next')
  })
})
