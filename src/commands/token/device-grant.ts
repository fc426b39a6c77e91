import { Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { addSeconds, systemClock } from '../../lib/clock.ts'
import { CommandError, type Context } from '../context.ts'
import { pause } from '../stopping.ts'
import {
  type AuthorizationServer,
  type Credentials,
  type Issued,
  issuedOf,
  post,
  printable,
} from './authorization-server.ts'

const DEVICE_CODE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code'

const Codes = TypeCompiler.Compile(
  Type.Object({
    device_code: Type.String({ minLength: 1 }),
    user_code: Type.String({ minLength: 1 }),
    verification_uri: Type.String({ minLength: 1 }),
    verification_uri_complete: Type.Optional(Type.String()),
    expires_in: Type.Number({ minimum: 1 }),
    interval: Type.Optional(Type.Number({ minimum: 1, maximum: 60 })),
  }),
)

/** Seconds between two questions where the server says nothing, and what `slow_down` adds (RFC 8628 section 3.5). */
const INTERVAL = 5

/**
 * Signs somebody in with a browser, on this machine or another one (RFC 8628). What they have to do is said on
 * standard error, since standard output is for the token.
 *
 * @throws CommandError when they say no, or nothing in time
 */
export async function signInByDevice(
  context: Context,
  server: AuthorizationServer,
  credentials: Credentials,
  scope: string,
): Promise<Issued> {
  const { signal } = context
  if (server.deviceEndpoint === undefined)
    throw new CommandError(
      'Sign-in from a terminal is switched off on this server (oauth.device_code_grant_enabled).',
    )
  const asked = await post(server.deviceEndpoint, { scope }, credentials, signal)
  if (asked.error !== undefined) throw refused(asked, credentials)
  const codes = asked.body
  if (!Codes.Check(codes)) throw new CommandError('The server answered something that is not a device code.')
  const { verification_uri: address, user_code: code, verification_uri_complete: complete } = codes
  context.process.stderr.write(
    `To sign in, open ${printable(address)} in a browser and type the code ${printable(code)}\n`,
  )
  if (complete !== undefined) context.process.stderr.write(`Or open ${printable(complete)}\n`)
  const until = addSeconds(systemClock.now(), codes.expires_in)
  let interval = codes.interval ?? INTERVAL
  while (systemClock.now() < until) {
    await pause(interval * 1000, signal)
    if (signal.aborted) throw new CommandError('Interrupted.')
    const fields = { grant_type: DEVICE_CODE_GRANT, device_code: codes.device_code }
    // A server that restarts meanwhile must not lose a sign-in that is under way.
    const polled = await post(server.tokenEndpoint, fields, credentials, signal).catch((error: unknown) => {
      if (signal.aborted || !(error instanceof CommandError)) throw error
      return { error: 'authorization_pending', description: '' }
    })
    if (polled.error === undefined) return issuedOf(polled.body)
    if (polled.error === 'slow_down') interval += INTERVAL
    else if (polled.error !== 'authorization_pending') throw refused(polled, credentials)
  }
  throw expired()
}

const expired = () => new CommandError('Nobody signed in in time; run the command again.')

/** One sentence for what the server said. */
export function refused(
  { error, description }: { error: string; description: string },
  { clientId }: Credentials,
): CommandError {
  if (error === 'expired_token') return expired()
  if (error === 'access_denied') return new CommandError('The sign-in was refused in the browser.')
  const sentences: Record<string, string> = {
    invalid_client: `The server does not know the client ${clientId}, or its secret is wrong. The client of this command is there when the server has the admin API; others are named with --client-id.`,
    invalid_scope: 'The server does not give this scope to this account or client',
  }
  const sentence = sentences[error] ?? `The server refused (${error})`
  return new CommandError(
    `${sentence}${description === '' || sentence.endsWith('.') ? '' : `: ${description}`}`,
  )
}
