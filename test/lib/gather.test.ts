import { expect, test } from 'bun:test'
import { gather } from '../../src/lib/gather.ts'

/** A question that is answered by hand: what was asked, and how to answer it. */
function byHand() {
  const asked: { keys: number[]; answer: () => void; fail: (error: Error) => void }[] = []
  const ask = (keys: number[]) =>
    new Promise<string[]>((resolve, reject) => {
      asked.push({ keys, answer: () => resolve(keys.map((key) => `of ${key}`)), fail: reject })
    })
  return { asked, ask, keys: () => asked.map(({ keys }) => keys) }
}
const turn = () => new Promise((resolve) => setImmediate(resolve))

test('a key that comes alone is asked for at once', async () => {
  const { asked, ask, keys } = byHand()
  const get = gather(ask, { atOnce: 2, atMost: 10 })
  const first = get(1)
  const second = get(2)
  expect(keys()).toEqual([[1], [2]])
  asked[1]?.answer()
  expect(await second).toBe('of 2')
  asked[0]?.answer()
  expect(await first).toBe('of 1')
})

test('keys that come while all questions are under way go together with the next one, each with its own answer', async () => {
  const { asked, ask, keys } = byHand()
  const get = gather(ask, { atOnce: 1, atMost: 3 })
  const all = [1, 2, 3, 4, 5].map(get)
  expect(keys()).toEqual([[1]])
  asked[0]?.answer()
  await turn()
  expect(keys()).toEqual([[1], [2, 3, 4]])
  all.push(get(6))
  asked[1]?.answer()
  await turn()
  expect(keys()).toEqual([[1], [2, 3, 4], [5, 6]])
  asked[2]?.answer()
  expect(await Promise.all(all)).toEqual([1, 2, 3, 4, 5, 6].map((key) => `of ${key}`))
})

test('what fails, fails for its batch alone, and the next one is asked', async () => {
  const { asked, ask } = byHand()
  const get = gather(ask, { atOnce: 1, atMost: 10 })
  const first = get(1)
  const later = Promise.allSettled([get(2), get(3)])
  const last = get.bind(null, 4)
  asked[0]?.fail(new Error('gone'))
  expect(await first.catch(String)).toBe('Error: gone')
  await turn()
  asked[1]?.fail(new Error('still gone'))
  expect((await later).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  const again = last()
  asked[2]?.answer()
  expect(await again).toBe('of 4')
})
