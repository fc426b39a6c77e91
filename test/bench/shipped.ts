import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { load } from './load.ts'
import { memory } from './process-figures.ts'
import { introspections, range } from './requests.ts'
import { type Bench, OWN, startProcess } from './setup.ts'
import { spread } from './stats.ts'

const MAIN = join(import.meta.dirname, '..', '..', 'src', 'main.ts')
const MEMORY_REQUESTS = 100_000

/** Start and memory of the shipped command, with nothing beside it. */
export async function measureProcess(
  { configPath, watchedConfigPath, port, baselinePort }: Bench,
  options: { connections: number; sessions: number },
): Promise<void> {
  const shipped = existsSync(MAIN)
  const argsOf = (config: string) =>
    shipped ? [MAIN, 'server', '-c', config] : [OWN, config, String(baselinePort)]
  console.log(`\n${shipped ? 'latchkey server' : 'test/bench/server.ts'}`)
  console.log(`start to first answer of /health: ${await starts(argsOf(configPath), port)} s, to reach 0.7`)
  const watched = argsOf(watchedConfigPath)
  console.log(`the same with metrics, traces and Sentry: ${await starts(watched, port)} s`)
  const observed = await startProcess(watched, port)
  await Bun.sleep(2000)
  console.log(`memory idle with metrics, traces and Sentry: ${await memory(observed.pid)}`)
  await observed.stop()
  const server = await startProcess(argsOf(configPath), port)
  try {
    await Bun.sleep(2000)
    console.log(`memory idle: ${await memory(server.pid)}`)
    const next = introspections(range(options.sessions))
    for (let part = 1; part <= 4; part++) {
      await load({ port, connections: options.connections, requests: MEMORY_REQUESTS / 4, next })
      console.log(`memory after ${(part * MEMORY_REQUESTS) / 4} introspections: ${await memory(server.pid)}`)
    }
    await Bun.sleep(2000)
    console.log(`memory 2 s later: ${await memory(server.pid)}, to stay under 150 MB`)
  } finally {
    await server.stop()
  }
}

/** Seconds that five starts took. */
async function starts(args: string[], port: number): Promise<string> {
  const seconds: number[] = []
  for (let start = 0; start < 5; start++) {
    const server = await startProcess(args, port)
    seconds.push(server.ready / 1000)
    await server.stop()
  }
  return spread(seconds)
}
