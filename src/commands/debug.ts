import type { Config } from '../config/schema.ts'
import { ownModule } from '../config/shipped.ts'
import { currentPolicyData, effectiveData } from '../identity/policy-data.ts'
import { ulidFromUuid } from '../lib/ulid.ts'
import { type Context, say } from './context.ts'
import type { ConfigOnly } from './flags.ts'
import { load } from './load.ts'
import { withLatchkey } from './manage/with-latchkey.ts'
import { checkPolicyModule } from './policy-module.ts'

interface PolicyFlags extends ConfigOnly {
  withDynamicData?: boolean
  json?: boolean
}

/**
 * `latchkey debug policy`: finds out whether the policy can decide, and says what it goes by. With `--with-dynamic-data`
 * what was set at run time is laid over the configuration, as a server does. Changes nothing.
 *
 * @throws PolicyModuleError, PolicyDataError
 */
export async function policyCommand(this: Context, flags: PolicyFlags): Promise<void> {
  const { config } = await load(this, flags.config)
  const entrypoints = await checkPolicyModule(config.policy)
  const set = flags.withDynamicData
    ? await withLatchkey(this, { ...flags, dryRun: true }, currentPolicyData)
    : undefined
  const { document } = effectiveData(config, set?.data)
  const module = ownModule(config.policy) ?? null
  const setAt = set ? { id: ulidFromUuid(set.id), created_at: set.created_at.toISOString() } : null
  if (flags.json) say(this, JSON.stringify({ module, entrypoints, dynamic_data: setAt, data: document }))
  else
    for (const line of [
      module === null
        ? 'The built-in policy decides.'
        : `${module} decides; it has the entry points ${entrypoints.join(', ')}.`,
      `Its data: ${sourcesOf(config, flags, setAt?.created_at)}. --json shows it.`,
    ])
      say(this, line)
}

/** Where the data of the policy comes from. */
function sourcesOf({ policy }: Config, { withDynamicData }: PolicyFlags, setAt: string | undefined): string {
  const file =
    Object.keys(policy.data).length > 0 ? 'policy.data of the configuration' : 'none in the configuration'
  if (setAt !== undefined) return `${file}, and over it what was set at run time (${setAt})`
  return withDynamicData ? `${file}, and nothing was set at run time` : file
}
