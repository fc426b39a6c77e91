import { countConnections, countJobs, countMails } from '../../sql/condition.ts'
import type { Deps } from '../deps.ts'

/** What the figures of the deployment are looked up from, when somebody reads them. */
export function registerFigures({
  metrics: { registry },
  sql,
  clock,
  config,
}: Pick<Deps, 'metrics' | 'sql' | 'clock' | 'config'>): void {
  registry.observed(
    {
      name: 'latchkey.queue.jobs',
      help: 'Jobs by state; dead ones were given up.',
      labels: ['state'],
      shared: true,
    },
    async () => {
      const [jobs] = await countJobs(sql)
      return jobs
        ? [
            [jobs.waiting, 'waiting'],
            [jobs.due, 'due'],
            [jobs.active, 'active'],
            [jobs.dead, 'dead'],
          ]
        : []
    },
  )
  registry.observed(
    {
      name: 'latchkey.queue.oldest',
      unit: 's',
      help: 'Since when the first job waits that is due.',
      shared: true,
    },
    async () => {
      const [jobs] = await countJobs(sql)
      return jobs ? [[jobs.oldest ? (clock.now().getTime() - jobs.oldest.getTime()) / 1000 : 0]] : []
    },
  )
  registry.observed(
    {
      name: 'latchkey.mails',
      help: 'Mails that wait, and that were given up.',
      labels: ['state'],
      shared: true,
    },
    async () => {
      const [mails] = await countMails(sql)
      return mails
        ? [
            [mails.waiting, 'waiting'],
            [mails.given_up, 'given_up'],
          ]
        : []
    },
  )
  registry.observed({ name: 'db.connections.max', help: 'Size of the connection pool.' }, () => [
    [config.database?.max_connections ?? 10],
  ])
  registry.observed(
    {
      name: 'db.connections.usage',
      help: 'Connections of all processes by what they do.',
      labels: ['state'],
      shared: true,
    },
    async () => {
      const [connections] = await countConnections(sql)
      return connections
        ? [
            [connections.used, 'used'],
            [connections.idle, 'idle'],
          ]
        : []
    },
  )
  const begun = clock.now()
  registry.observed({ name: 'process.uptime', unit: 's', help: 'Since the start.', shared: true }, () => [
    [(clock.now().getTime() - begun.getTime()) / 1000],
  ])
  registry.observed({ name: 'process.memory.usage', unit: 'By', help: 'Resident memory.' }, () => [
    [process.memoryUsage.rss()],
  ])
  registry.observed(
    { name: 'process.cpu.time', unit: 's', help: 'Processor time.', labels: ['state'], kind: 'counter' },
    () => {
      const { user, system } = process.cpuUsage()
      return [
        [user / 1e6, 'user'],
        [system / 1e6, 'system'],
      ]
    },
  )
}
