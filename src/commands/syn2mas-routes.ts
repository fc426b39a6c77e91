import { buildCommand, buildRouteMap } from '@stricli/core'
import { CommandError, type Context } from './context.ts'
import { aliases, type ConfigOnly, flag, shared, text } from './flags.ts'

interface Flags extends ConfigOnly {
  synapseConfig?: readonly string[]
  synapseDatabaseUri?: string
  ignoreMissingAuthProviders?: boolean
  dryRun?: boolean
}

const flags = {
  ...shared,
  synapseConfig: { ...text("Synapse's homeserver.yaml", 'file'), variadic: true },
  synapseDatabaseUri: text('Where the database of Synapse is', 'uri'),
  ignoreMissingAuthProviders: flag('Only warn about providers that have no counterpart'),
  dryRun: flag('Change nothing'),
} as const

/** Takes what MAS takes, and says why it can't be done: a script that ends here must not end with "unknown command". */
const refuse = async () => ({
  default(this: Context, _flags: Flags): void {
    throw new CommandError(
      'Latchkey can not take over the accounts of a Synapse yet; nothing was looked at. Its settings: latchkey config generate --synapse-config homeserver.yaml',
    )
  },
})

/** `latchkey syn2mas …`: not there. */
export const syn2masRoutes = buildRouteMap({
  routes: {
    check: buildCommand({
      loader: refuse,
      parameters: { flags, aliases },
      docs: { brief: 'Not built yet' },
    }),
    migrate: buildCommand({
      loader: refuse,
      parameters: { flags, aliases },
      docs: { brief: 'Not built yet' },
    }),
  },
  docs: { brief: 'Take over the accounts of a Synapse: not built yet' },
})
