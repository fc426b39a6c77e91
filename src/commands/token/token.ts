import { readFile } from 'node:fs/promises'
import { addSeconds, systemClock } from '../../lib/clock.ts'
import { parseScope } from '../../lib/scope.ts'
import { COMMAND_CLIENT } from '../../oauth/own-clients.ts'
import { CommandError, type Context, say } from '../context.ts'
import { load } from '../load.ts'
import { readAll } from '../read-all.ts'
import {
  type AuthorizationServer,
  type Credentials,
  discover,
  type Issued,
  issuedOf,
  post,
  serverAddress,
} from './authorization-server.ts'
import { forget, type Kept, keep, keptAt, readKept, type Wanted } from './cache.ts'
import { refused, signInByDevice } from './device-grant.ts'

export interface TokenFlags {
  config?: readonly string[]
  server?: string
  scope: string
  clientId?: string
  clientSecretFile?: string
  authMethod?: 'basic' | 'post'
  fresh?: boolean
  prompt: boolean
  forget?: boolean
  json?: boolean
}

/** Seconds that a token must still be good for: the call that it is for takes a while. */
const MARGIN = 30

/** `latchkey token`: an access token on standard output, and nothing else there. */
export default async function token(this: Context, flags: TokenFlags): Promise<void> {
  const scope = parseScope(flags.scope.trim())?.join(' ')
  if (scope === undefined)
    throw new CommandError(`${flags.scope} is not a list of scopes, with a space between two.`)
  if (flags.clientId === undefined && flags.clientSecretFile !== undefined)
    throw new CommandError('A secret needs --client-id.')
  const server = serverAddress(await serverOf(this, flags))
  const clientId = flags.clientId ?? COMMAND_CLIENT
  const wanted: Wanted = { server, clientId, scope }
  const path = keptAt(this.env, wanted)
  const kept = await readKept(path)
  if (flags.forget) return forgetToken(this, { wanted, path, kept })
  if (kept && !flags.fresh && isGood(kept)) return print(this, flags, kept)
  const secret = await secretOf(this, flags)
  const credentials: Credentials = {
    clientId,
    ...(secret !== undefined && { secret }),
    ...(flags.authMethod && { method: flags.authMethod }),
  }
  const found = await discover(server, this.signal)
  const renewed =
    secret === undefined && kept && (await renew(this, found, credentials, { kept, path, wanted }))
  if (renewed) return print(this, flags, renewed)
  const issued =
    secret === undefined
      ? await signIn(this, flags, found, credentials, scope)
      : await grantOf(found, credentials, { grant_type: 'client_credentials', scope }, this.signal)
  const next = keptOf(wanted, issued)
  await keep(path, next)
  print(this, flags, next)
}

/** The server that was named, else that of the configuration. */
async function serverOf(context: Context, flags: TokenFlags): Promise<string> {
  if (flags.server !== undefined) return flags.server
  try {
    return (await load(context, flags.config)).config.http.public_base
  } catch (cause) {
    if (flags.config) throw cause
    throw new CommandError('Name the server: latchkey token --server https://auth.example.org/', { cause })
  }
}

async function secretOf(context: Context, flags: TokenFlags): Promise<string | undefined> {
  const { clientSecretFile: file } = flags
  if (file === undefined) return undefined
  const secret = (file === '-' ? await readAll(context) : await readFile(file, 'utf8')).trim()
  if (secret === '') throw new CommandError('The secret of the client is empty.')
  return secret
}

function signIn(
  context: Context,
  flags: TokenFlags,
  server: AuthorizationServer,
  credentials: Credentials,
  scope: string,
): Promise<Issued> {
  if (flags.prompt) return signInByDevice(context, server, credentials, scope)
  throw new CommandError('Somebody has to sign in; run the command once without --no-prompt.')
}

/**
 * A new token for the refresh token that is kept; undefined when it is no longer good. Two commands may do so at once:
 * the server gives both the same, or the other one has kept what it got.
 */
async function renew(
  context: Context,
  server: AuthorizationServer,
  credentials: Credentials,
  { kept, path, wanted }: { kept: Kept; path: string; wanted: Wanted },
): Promise<Kept | undefined> {
  if (kept.refresh_token === undefined) return undefined
  const fields = { grant_type: 'refresh_token', refresh_token: kept.refresh_token }
  const answer = await post(server.tokenEndpoint, fields, credentials, context.signal)
  if (answer.error === undefined) {
    const next = keptOf(wanted, { refresh_token: kept.refresh_token, ...issuedOf(answer.body) })
    await keep(path, next)
    return next
  }
  const other = await readKept(path)
  if (other && other.access_token !== kept.access_token && isGood(other)) return other
  // Anything else is no reason to sign in again: the sign-in may still be good.
  if (answer.error !== 'invalid_grant') throw refused(answer, credentials)
  return undefined
}

async function grantOf(
  server: AuthorizationServer,
  credentials: Credentials,
  fields: Record<string, string>,
  signal: AbortSignal,
): Promise<Issued> {
  const answer = await post(server.tokenEndpoint, fields, credentials, signal)
  if (answer.error !== undefined) throw refused(answer, credentials)
  return issuedOf(answer.body)
}

/** Ends the sign-in at the server (RFC 7009), and forgets it here in any case. */
async function forgetToken(
  context: Context,
  { wanted, path, kept }: { wanted: Wanted; path: string; kept: Kept | undefined },
): Promise<void> {
  await forget(path)
  const say = (sentence: string) => context.process.stderr.write(`${sentence}\n`)
  if (!kept) return void say('There was nothing to forget.')
  const { revocationEndpoint } = await discover(wanted.server, context.signal)
  const token = kept.refresh_token
  if (revocationEndpoint && token !== undefined)
    await post(revocationEndpoint, { token }, { clientId: wanted.clientId }, context.signal)
  say('Forgotten, here and at the server.')
}

const isGood = ({ expires_at: end }: Kept): boolean =>
  end !== null && end > addSeconds(systemClock.now(), MARGIN).getTime()

const keptOf = ({ server, clientId, scope }: Wanted, issued: Issued): Kept => ({
  server: server.href,
  client_id: clientId,
  scope,
  access_token: issued.access_token,
  expires_at:
    issued.expires_in === undefined ? null : addSeconds(systemClock.now(), issued.expires_in).getTime(),
  ...(issued.refresh_token !== undefined && { refresh_token: issued.refresh_token }),
})

/** The refresh token stays where it is: nothing but this command needs it. */
function print(context: Context, { json }: TokenFlags, kept: Kept): void {
  const { access_token, scope, expires_at: end } = kept
  const expires = end === null ? null : new Date(end).toISOString()
  say(context, json ? JSON.stringify({ access_token, scope, expires_at: expires }) : access_token)
}
