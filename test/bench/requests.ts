import { formPost } from './load.ts'
import { seededToken } from './seed.ts'
import { HOMESERVER_SECRET } from './setup.ts'
import type { Subject } from './subject.ts'

/** Requests whose text is kept, so that the load is not busy with making it. */
const KEPT = 5000

/** What the homeserver asks, with the headers that Synapse sends. */
export function introspections(count: number, turn: () => number): () => string {
  const headers =
    'accept: application/json\r\nuser-agent: Synapse/1.140.0\r\n' +
    `authorization: Bearer ${HOMESERVER_SECRET}\r\nx-mas-supports-device-id: 1\r\n`
  const made = new Map<number, string>()
  return () => {
    const index = turn() % count
    let text = made.get(index)
    if (text === undefined) {
      const form = `token=${seededToken('mat', index)}&token_type_hint=access_token`
      text = formPost('/oauth2/introspect', form, headers)
      if (made.size < KEPT) made.set(index, text)
    }
    return text
  }
}

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
