import { formPost, get } from './load.ts'
import { memory } from './process-figures.ts'
import { introspections, range, refreshChains } from './requests.ts'
import { seedSessions } from './seed.ts'
import type { Bench } from './setup.ts'
import { table } from './stats.ts'
import { HEADINGS, ratios, row, run, type Subject } from './subject.ts'

/** Sessions that are asked for when there are many; their tokens are far more than the 5,000 that stay cached. */
const SPREAD = 40_000

interface ThroughputOptions {
  /** The process that is measured. */
  pid: number
  client: { id: string; clientId: string }
  connections: number
  rounds: number
  /** Sessions in the database. */
  sessions: number
  /** Sessions to add for a comparison; 0 for none. */
  large: number
}

/** Introspection and refresh beside their baselines, in turn, so that what else the machine does meets all of them. */
export async function measureThroughput(
  { sql, port, baselinePort }: Bench,
  { pid, client, connections, rounds, sessions, large }: ThroughputOptions,
): Promise<void> {
  const userIds = (await sql<{ id: string }[]>`select id from latchkey.users limit ${sessions}`).map(
    ({ id }) => id,
  )
  const chains = refreshChains(client.clientId)
  const subject = (part: Omit<Subject, 'rounds'>): Subject => ({ ...part, rounds: [] })
  let turn = 0
  const select = subject({
    name: 'baseline: select',
    requests: 8000,
    port: baselinePort,
    next: () => get(`/select/${userIds[turn++ % userIds.length]}`),
  })
  const insert = subject({
    name: 'baseline: insert',
    requests: 2000,
    port: baselinePort,
    next: () => formPost('/insert', ''),
  })
  const introspection = subject({
    name: 'introspection',
    requests: 8000,
    port,
    next: introspections(range(sessions)),
  })
  const refresh = subject({ name: 'refresh', requests: 2000, port, ...chains })

  const first = subject({ ...introspection, name: 'introspection, first use', requests: sessions })
  await run(first, pid, connections)
  // Warm-up of the compiler and of the pool.
  for (const warm of [select, insert, introspection, refresh])
    await run({ ...warm, requests: 2 * warm.requests, rounds: [] }, pid, connections)
  for (let round = 0; round < rounds; round++)
    for (const each of [select, introspection, insert, refresh]) await run(each, pid, connections)

  console.log(`\n${connections} connections, ${rounds} interleaved rounds, ${sessions} live tokens\n`)
  console.log(table(HEADINGS, [select, introspection, insert, refresh, first].map(row)))
  console.log(`\nintrospection / select: ${ratios(introspection, select)}, to reach 0.7`)
  console.log(`refresh / insert: ${ratios(refresh, insert)}, to reach 0.5`)
  console.log(`memory: ${await memory(pid)}`)

  if (large > 0) {
    const started = performance.now()
    await seedSessions(sql, { clientId: client.id, from: sessions, to: large, used: true })
    console.log(`\nseeded ${large} sessions in ${((performance.now() - started) / 1000).toFixed(0)} s`)
    const spreadOut = subject({
      name: `introspection of ${large}`,
      requests: 8000,
      port,
      // A step that shares no factor with the number of sessions: far apart from each other, and from all over it.
      next: introspections(range(SPREAD).map((index) => (index * 618_033) % large)),
    })
    const again = subject({ ...introspection, name: `introspection of the same ${sessions}` })
    for (const warm of [select, spreadOut, again]) await run({ ...warm, rounds: [] }, pid, connections)
    select.rounds = []
    for (let round = 0; round < rounds; round++)
      for (const each of [select, again, spreadOut]) await run(each, pid, connections)
    console.log(`\n${table(HEADINGS, [select, again, spreadOut].map(row))}`)
    console.log(`\nspread over ${large} / the same ${sessions}: ${ratios(spreadOut, again)}`)
    console.log(`spread over ${large} / select: ${ratios(spreadOut, select)}`)
  }
}
