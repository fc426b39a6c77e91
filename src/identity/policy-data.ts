import type { Db, Json } from '../../sql/connect.ts'
import {
  insertPolicyData,
  latestPolicyData,
  latestPolicyDataId,
  type PolicyDataRow,
} from '../../sql/policy-data.ts'
import { readPolicyData } from '../config/policy-data.ts'
import type { Config } from '../config/schema.ts'
import { ownModule } from '../config/shipped.ts'
import type { Deps } from '../deps.ts'
import type { Clock } from '../lib/clock.ts'
import { isStorable } from '../lib/storable.ts'
import { newId } from '../lib/ulid.ts'
import type { PolicyData } from '../policy/constraints.ts'
import { mergePolicyData, withoutNulls } from '../policy/merge.ts'

/** Milliseconds that a process may go on with what it knows; MAS takes up to a minute. */
const FRESH = 5_000

/** `policy.data` as it is now. */
export interface EffectiveData {
  /** For the built-in rules. */
  data: PolicyData
  /** For a module: as the operator wrote it, with our own keys below (reference operations 6.1). */
  document: unknown
}

/** What the rules of this process go by, read again when it is older than a few seconds. */
export interface PolicyDataSource {
  /** @throws PolicyDataError when what was set at run time does not fit the configuration (any more) */
  current(): Promise<EffectiveData>
  /** The next reader asks the database. */
  forget(): void
}

/** Data that the rules cannot go by: one sentence for the operator. */
export class PolicyDataError extends Error {
  override readonly name = 'PolicyDataError'
}

type PolicyConfig = Pick<Config, 'policy' | 'matrix' | 'experimental'>

/** What this process knows of `latchkey.policy_data`. One query of one id every few seconds, however many ask. */
export function createPolicyData(deps: { sql: Db; clock: Clock; config: PolicyConfig }): PolicyDataSource {
  let known: { id: string | undefined; effective: EffectiveData; until: number } | undefined
  let asking: Promise<EffectiveData> | undefined
  // An answer that was asked for before something was set must not come back after it.
  let generation = 0
  const read = async (): Promise<EffectiveData> => {
    const asked = generation
    const until = deps.clock.now().getTime() + FRESH
    const [newest] = await latestPolicyDataId(deps.sql)
    if (known && known.id === newest?.id) {
      known.until = until
      return known.effective
    }
    const [row] = newest ? await latestPolicyData(deps.sql) : []
    const effective = effectiveData(deps.config, row?.data)
    if (asked === generation) known = { id: row?.id, effective, until }
    return effective
  }
  return {
    async current() {
      if (known && deps.clock.now().getTime() < known.until) return known.effective
      const mine = asking ?? read()
      asking = mine
      try {
        return await mine
      } finally {
        if (asking === mine) asking = undefined
      }
    },
    forget() {
      generation++
      known = undefined
      asking = undefined
    },
  }
}

/** The configuration's data with `over`, what was set at run time, laid over it. @throws PolicyDataError */
export function effectiveData(config: PolicyConfig, over: unknown): EffectiveData {
  const { data } = config.policy
  const base = {
    server_name: config.matrix.homeserver,
    session_limit: config.experimental.session_limit ?? null,
  }
  try {
    const document = mergePolicyData(mergePolicyData(base, data), over ?? {})
    // A module judges its data itself.
    if (over === undefined || ownModule(config.policy) !== undefined) return { data, document }
    const { data: checked, problems } = readPolicyData(withoutNulls(mergePolicyData(data, over)))
    if (problems.length > 0) throw new PolicyDataError(problems.join(' '))
    return { data: checked, document }
  } catch (error) {
    throw error instanceof PolicyDataError ? error : new PolicyDataError(`${(error as Error).message}.`)
  }
}

/** What was last set at run time; undefined when nothing ever was. */
export async function currentPolicyData(deps: Pick<Deps, 'sql'>): Promise<PolicyDataRow | undefined> {
  const [row] = await latestPolicyData(deps.sql)
  return row
}

/**
 * Sets `policy.data` at run time: merged over that of the configuration (mappings key by key, lists appended, null to
 * take away), in place of what was set before. In force here at once, in other processes within five seconds.
 *
 * @throws PolicyDataError when it does not fit: a sentence for the operator
 */
export async function setPolicyData(
  deps: Pick<Deps, 'sql' | 'clock' | 'random' | 'config' | 'policyData' | 'log'>,
  data: unknown,
): Promise<PolicyDataRow> {
  if (typeof data !== 'object' || data === null || Array.isArray(data))
    throw new PolicyDataError('Policy data must be a mapping (an object in JSON).')
  effectiveData(deps.config, data)
  if (!isStorable(data))
    throw new PolicyDataError('Policy data must not hold the character U+0000 or half of a surrogate pair.')
  const now = deps.clock.now()
  const [row] = await insertPolicyData(deps.sql, {
    id: newId(now, deps.random),
    data: data as Json,
    now,
  })
  if (!row) throw new Error('the policy data was not stored')
  deps.policyData.forget()
  deps.log.info('policy.data_set', { id: row.id })
  return row
}
