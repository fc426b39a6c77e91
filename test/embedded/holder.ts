// A process that starts a cluster and stays, for tests that need a second one: bun holder.ts <directory> [ephemeral]
import { startCluster } from '../../src/embedded/cluster.ts'

const [directory = '', ephemeral] = process.argv.slice(2)
const { pid, adopted, location, stop } = await startCluster({
  directory,
  log: () => {},
  ephemeral: ephemeral === 'ephemeral',
})
process.on('SIGTERM', () => stop().then(() => process.exit(0)))
console.log(JSON.stringify({ pid, adopted, location }))
setInterval(() => {}, 60_000)
