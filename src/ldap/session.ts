import type { Socket } from 'node:net'
import type { Client, Entry as RawEntry } from 'ldapts'
import { messageOf } from '../lib/thrown.ts'
import { DirectoryError } from './directory-error.ts'

/** What is looked for. */
export interface Search {
  base: string
  scope: 'sub' | 'one' | 'base'
  filter: string
  attributes: string[]
  /** Entries that are wanted at most. */
  limit: number
}

/** Why a directory did not accept a name and a password; `code` is its own word for the log. */
export interface BindRefusal {
  reason: 'wrong' | 'expired' | 'disabled'
  code: string
}

/** One connection to a directory, on which things are asked one after the other. */
export interface Session {
  /** Signs in; what was asked before no longer counts. @throws DirectoryError */
  bind(dn: string, password: string): Promise<'ok' | BindRefusal>
  /** @throws DirectoryError */
  search(search: Search): Promise<RawEntry[]>
  close(): Promise<void>
}

/** Attributes whose values are bytes, and are wanted all the same: ids of Active Directory. */
export const BINARY_ATTRIBUTES = ['objectGUID', 'objectSid']

/** Begins to speak LDAP on a connection. */
export async function openSession(socket: Socket): Promise<Session> {
  // On first use: most deployments have no directory.
  const { Client, FilterParser, SASL_MECHANISMS } = await import('ldapts')
  let given = false
  const client: Client = new Client({
    // Not used: the connection is there.
    url: 'ldap://directory',
    // Once: a connection that broke must not be made anew by the library, which would not encrypt it.
    createConnection: () => {
      if (given) throw new Error('the connection was lost')
      given = true
      return socket
    },
  })
  return {
    async bind(dn, password) {
      // Names of other ways to sign in, to the library.
      if ((SASL_MECHANISMS as readonly string[]).includes(dn))
        return { reason: 'wrong', code: 'no such entry' }
      // RFC 4513 section 5.1.2: without a password many directories say yes to anybody.
      if (dn === '' || password === '') return { reason: 'wrong', code: 'empty' }
      try {
        await client.bind(dn, password)
        return 'ok'
      } catch (error) {
        return refusalOf(error) ?? fail(error)
      }
    },
    async search({ base, limit, filter, ...options }) {
      const parsed = parse(filter, (text) => FilterParser.parseString(text))
      try {
        const found = await client.search(base, {
          ...options,
          filter: parsed,
          sizeLimit: limit,
          explicitBufferAttributes: BINARY_ATTRIBUTES,
        })
        return found.searchEntries
      } catch (error) {
        return fail(error)
      }
    },
    close: () => client.unbind().catch(() => {}),
  }
}

/** @throws DirectoryError for a filter that is none */
function parse<T>(filter: string, read: (filter: string) => T): T {
  try {
    return read(filter)
  } catch (cause) {
    throw new DirectoryError('misconfigured', messageOf(cause), { cause })
  }
}

/** Result codes (RFC 4511 appendix A) by which directories turn a person away: wrong, locked, or not there. */
const REFUSALS = new Set([19, 32, 34, 48, 49, 50, 53])
/** Codes that another try, or another copy of the directory, may not give. */
const AWAY = new Set([3, 11, 51, 52, 80])

/** What Active Directory adds to 49, told only to who knows the password, except that an account is locked. */
const SUB_CODES: Readonly<Record<string, BindRefusal['reason']>> = {
  '530': 'disabled',
  '531': 'disabled',
  '532': 'expired',
  '533': 'disabled',
  '701': 'disabled',
  '773': 'expired',
}

const codeIn = (error: unknown): number | undefined => {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'number' ? code : undefined
}

function refusalOf(error: unknown): BindRefusal | undefined {
  const code = codeIn(error)
  if (code === undefined || !REFUSALS.has(code)) return undefined
  const sub = code === 49 ? /\bdata ([0-9a-f]+)/i.exec(messageOf(error))?.[1]?.toLowerCase() : undefined
  return {
    reason: (sub !== undefined && SUB_CODES[sub]) || 'wrong',
    code: sub === undefined ? String(code) : `${code} data ${sub}`,
  }
}

function fail(error: unknown): never {
  const code = codeIn(error)
  const problem = code === undefined || AWAY.has(code) ? 'away' : 'misconfigured'
  throw new DirectoryError(problem, messageOf(error).split('\n')[0] ?? '', { cause: error })
}
