import { formPost } from './load.ts'
import { seededToken } from './seed.ts'
import { HOMESERVER_SECRET } from './setup.ts'
import type { Subject } from './subject.ts'

/**
 * What the homeserver asks about the seeded sessions of `indices`, in turn, with the headers that Synapse sends. The
 * texts are made beforehand, so that the load is not busy with them.
 */
export function introspections(indices: readonly number[], secret = HOMESERVER_SECRET): () => string {
  const headers =
    'accept: application/json\r\nuser-agent: Synapse/1.140.0\r\n' +
    `authorization: Bearer ${secret}\r\nx-mas-supports-device-id: 1\r\n`
  const texts = indices.map((index) => {
    const form = `token=${seededToken('mat', index)}&token_type_hint=access_token`
    return formPost('/oauth2/introspect', form, headers)
  })
  let turn = 0
  return () => texts[turn++ % texts.length] ?? ''
}

/** `count` numbers from 0. */
export const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index)

/** Chains of refreshes, one a connection and round: each presents the token that the last one got. */
export function refreshChains(clientId: string): Pick<Subject, 'next' | 'answered'> {
  const latest = new Map<number, string>()
  let unused = 0
  return {
    next(connection) {
      const token = latest.get(connection) ?? seededToken('mar', unused++)
      return formPost(
        '/oauth2/token',
        `grant_type=refresh_token&client_id=${clientId}&refresh_token=${token}`,
      )
    },
    answered(connection, body) {
      latest.set(connection, (JSON.parse(body) as { refresh_token: string }).refresh_token)
    },
  }
}
