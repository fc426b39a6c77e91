/** `bun run bench`: see README.md. */
import { parseArgs } from 'node:util'
import { measureFlows, REDIRECT_URI } from './flow.ts'
import { measureGrants } from './grants.ts'
import { measureLegacy } from './legacy.ts'
import { measurePages } from './pages.ts'
import { seedClient, seedSessions } from './seed.ts'
import { OWN, prepareBench, startProcess } from './setup.ts'
import { measureProcess } from './shipped.ts'
import { measureThroughput } from './throughput.ts'

const { values: options } = parseArgs({
  options: {
    /** Also with 1,000,000 sessions. */
    large: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '7' },
    connections: { type: 'string', default: '24' },
    /** Only these parts: throughput, grants, flow, legacy, pages, process. */
    only: { type: 'string', multiple: true },
  },
})
const wanted = (part: string) => options.only?.includes(part) ?? true
const connections = Number(options.connections)
const sessions = 5000

const bench = await prepareBench()
try {
  const client = await seedClient(bench.sql, REDIRECT_URI)
  await seedSessions(bench.sql, { clientId: client.id, from: 0, to: sessions, used: false })
  if (wanted('throughput') || wanted('grants') || wanted('flow') || wanted('legacy') || wanted('pages')) {
    const server = await startProcess([OWN, bench.configPath, String(bench.baselinePort)], bench.port)
    try {
      if (wanted('throughput'))
        await measureThroughput(bench, {
          pid: server.pid,
          client,
          connections,
          rounds: Number(options.rounds),
          sessions,
          large: options.large ? 1_000_000 : 0,
        })
      if (wanted('grants'))
        await measureGrants(bench, { pid: server.pid, connections, rounds: Number(options.rounds) })
      if (wanted('flow')) await measureFlows(bench, client.clientId)
      if (wanted('pages')) await measurePages(bench, { pid: server.pid, rounds: Number(options.rounds) })
      if (wanted('legacy')) await measureLegacy(bench, { pid: server.pid, connections })
    } finally {
      await server.stop()
    }
  }
  if (wanted('process')) await measureProcess(bench, { connections, sessions })
} finally {
  await bench.stop()
}
