import { findUser } from '../../sql/users.ts'
import {
  createPersonalToken,
  type NewPersonalToken,
  type PersonalTokenResult,
} from '../../src/identity/personal-tokens.ts'
import type { Harness } from './harness.ts'
import { API_SCOPE, deviceScope } from './oauth.ts'

export const PERSONAL_DEVICE = 'SCRIPTDEVC'

/** Asks for a personal token of a person; by default one that they make for themselves, with a device, without an end. */
export async function makePersonalToken(
  harness: Pick<Harness, 'deps'>,
  userId: string,
  wanted: Partial<NewPersonalToken> = {},
): Promise<PersonalTokenResult> {
  const [actor] = await findUser(harness.deps.sql, userId)
  if (!actor) throw new Error('There is no such person.')
  return createPersonalToken(harness.deps, {
    actor,
    owner: { userId },
    maker: 'self',
    name: 'A script',
    scope: [API_SCOPE, deviceScope(PERSONAL_DEVICE)],
    expiresIn: undefined,
    requester: { ip: '192.0.2.7', userAgent: 'Test' },
    ...wanted,
  })
}

/** The same, where it must be given. */
export async function personalToken(
  harness: Pick<Harness, 'deps'>,
  userId: string,
  wanted: Partial<NewPersonalToken> = {},
): Promise<Extract<PersonalTokenResult, { result: 'issued' }>> {
  const made = await makePersonalToken(harness, userId, wanted)
  if (made.result !== 'issued') throw new Error(`no token: ${JSON.stringify(made)}`)
  return made
}
