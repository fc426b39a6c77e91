import { buildCommand } from '@stricli/core'
import { aliases, flag, json, shared } from '../flags.ts'

/** The commands of `latchkey manage` about the queue. */
export const jobRoutes = {
  listJobs: buildCommand({
    loader: () => import('./jobs.ts').then((module) => module.listJobsCommand),
    parameters: { flags: { ...shared, json, all: flag('Also jobs that wait or run') }, aliases },
    docs: {
      brief: 'List the jobs that were given up, and why',
      fullDescription: 'Example: latchkey manage list-jobs',
    },
  }),
  retryJob: buildCommand({
    loader: () => import('./jobs.ts').then((module) => module.retryJobCommand),
    parameters: {
      flags: shared,
      aliases,
      positional: {
        kind: 'tuple',
        parameters: [
          { brief: 'One job of the list; all without it', parse: String, placeholder: 'id', optional: true },
        ],
      },
    },
    docs: {
      brief: 'Try jobs again that were given up',
      fullDescription: 'Example: latchkey manage retry-job',
    },
  }),
}
