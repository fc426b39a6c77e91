import type { Config } from '../config/schema.ts'
import { fetchLocal } from '../http/outgoing.ts'
import { CommandError, type Context, say } from './context.ts'
import { reasonOf } from './explain.ts'
import type { ConfigOnly } from './flags.ts'
import { load } from './load.ts'

/** Milliseconds for the answer: a container that is asked every half a minute should know by then. */
const TIMEOUT = 4_000

/** Where the server of this machine says whether it is well. */
type Target = { url: string; unix?: string }

/** `latchkey health`: for the health check of a container. @throws CommandError when it is not well */
export default async function health(this: Context, flags: ConfigOnly): Promise<void> {
  const { config } = await load(this, flags.config)
  const target = healthTarget(config)
  if (!target)
    throw new CommandError(
      'No listener has the resource health; add "- name: health" to the resources of one.',
    )
  const { url, unix } = target
  const where = unix ?? url
  let status: number
  try {
    const response = await fetchLocal(url, {
      signal: AbortSignal.any([this.signal, AbortSignal.timeout(TIMEOUT)]),
      ...(unix !== undefined && { unix }),
      // The certificate is for another name than localhost, nothing is sent, and only the status is believed.
      ...(url.startsWith('https:') && { tls: { rejectUnauthorized: false } }),
    } as RequestInit)
    status = response.status
  } catch (cause) {
    throw new CommandError(`Nothing answers at ${where} (${reasonOf(cause)}).`, { cause })
  }
  if (status !== 200) throw new CommandError(`${where} answers ${status}.`)
  say(this, 'ok')
}

/** The first place where `health` is served. */
export function healthTarget({ http }: Pick<Config, 'http'>): Target | undefined {
  for (const { resources, binds, tls } of http.listeners) {
    if (!resources.some(({ name }) => name === 'health')) continue
    const scheme = tls ? 'https' : 'http'
    for (const bind of binds) {
      if ('socket' in bind) return { url: `${scheme}://localhost/health`, unix: bind.socket }
      const everywhere = bind.host === undefined || bind.host === '0.0.0.0' || bind.host === '::'
      const host = everywhere ? 'localhost' : (bind.host ?? '')
      return { url: `${scheme}://${host.includes(':') ? `[${host}]` : host}:${bind.port}/health` }
    }
  }
  return undefined
}
