import type { Config } from '../config/schema.ts'
import { type Circuit, createCircuit } from '../lib/circuit.ts'
import type { Clock } from '../lib/clock.ts'
import { Overloaded } from '../lib/overloaded.ts'
import { createQueue } from '../lib/queue.ts'
import { messageOf } from '../lib/thrown.ts'
import type { Log } from '../telemetry/log.ts'
import { DirectoryError } from './directory-error.ts'
import { type Entry, entryOf, filterOfId, WANTED } from './entry.ts'
import { escapeDnValue, escapeFilterValue, fill } from './escape.ts'
import { type BindRefusal, openSession, type Session } from './session.ts'
import { openSocket } from './socket.ts'

export type LdapSettings = NonNullable<Config['ldap']>

/** Whom a password is of: the name that was typed, the entry that an account is linked to, or both. */
export interface Who {
  name?: string | undefined
  /** The entry is looked for by its id when none has the name (any more). */
  known?: { id: string; dn: string } | undefined
}

/** What the directory says of a name and a password. */
export type Authentication =
  | { result: 'ok'; entry: Entry }
  | { result: 'refused'; reason: BindRefusal['reason'] | 'ambiguous'; code: string }

/** Whether the password of an entry may be tried now; throws when not. */
export type Admit = (entryId: string) => Promise<void>

/** The directory that the configuration names. */
export interface Directory {
  /**
   * Asks about a password. A directory takes many spellings for one name (RFC 4518), so `admit` is asked about the entry
   * that was found; where nothing is looked up, names have but the spellings that `fold` knows.
   *
   * @throws DirectoryError, Overloaded, what `admit` throws
   */
  authenticate(who: Who, password: string, admit?: Admit): Promise<Authentication>
  /** Tries each address: connects, signs in, and looks for somebody who is not there. Gives why not, or undefined. */
  check(): Promise<{ url: string; problem: DirectoryError | undefined }[]>
}

/** Checks that run at once, and those that wait: a directory that hangs must not hold everything else. */
const LIMITS = { running: 20, waiting: 200 }

/** UTF-16 code units that a name may have which is looked for. */
const NAME_LIMIT = 256

/** Milliseconds that one of several addresses gets before the next is tried. */
const PATIENCE = 3000

/** A name that nobody has, for checks that must do the work of one all the same. */
const NOBODY = 'nobody-has-this-name'

/**
 * Builds what asks the directory; asks nothing yet. Each check has a connection of its own: the password of one person
 * never meets what is asked for another, and nothing has to be kept alive.
 */
export function createDirectory(
  settings: LdapSettings,
  { clock, log }: { clock: Clock; log: Pick<Log, 'warn' | 'info'> },
): Directory {
  const enqueue = createQueue(LIMITS, () => new Overloaded('Too many people are being looked up right now.'))
  const circuit: Circuit = createCircuit({
    clock,
    verdict: (error) =>
      error instanceof DirectoryError ? (error.problem === 'away' ? 'absent' : 'present') : undefined,
    refuse: () => new DirectoryError('away', 'nothing was sent: the directory did not answer the last calls'),
    away: (error) => log.warn('directory.away', { error }),
    back: () => log.info('directory.back'),
  })
  // The address that answered last: of one that hangs not everybody has to find out.
  let current = 0

  /** A connection on which the reader is signed in, at the first address that has one. */
  async function open(deadline: AbortSignal): Promise<Session> {
    const { urls } = settings
    const patience = urls.length > 1 ? PATIENCE : settings.timeout * 1000
    const problems: string[] = []
    for (let tried = 0; tried < urls.length && !deadline.aborted; tried++) {
      const index = (current + tried) % urls.length
      const url = urls[index] ?? ''
      try {
        const session = await openAt(settings, url, deadline, patience)
        current = index
        return session
      } catch (error) {
        if (!(error instanceof DirectoryError) || error.problem !== 'away') throw error
        problems.push(`${url}: ${error.message}`)
      }
    }
    throw new DirectoryError('away', problems.join('; '))
  }

  return {
    async authenticate(who, password, admit = async () => {}) {
      if (!isUsable(who, password)) return { result: 'refused', reason: 'wrong', code: 'not usable' }
      return enqueue(() =>
        circuit.run(async () => {
          const session = await open(AbortSignal.timeout(settings.timeout * 1000))
          try {
            return settings.user_dn === undefined
              ? await searchAndBind(settings, session, who, password, admit)
              : await bindAndRead(settings, session, settings.user_dn, who, password)
          } finally {
            await session.close()
          }
        }),
      )
    },
    async check() {
      return Promise.all(
        settings.urls.map(async (url) => {
          const timeout = settings.timeout * 1000
          try {
            const session = await openAt(settings, url, AbortSignal.timeout(timeout), timeout)
            try {
              if (settings.search) await findByName(settings, session, NOBODY)
              if (settings.groups) await groupsOf(settings, session, NOBODY_ENTRY)
            } finally {
              await session.close()
            }
            return { url, problem: undefined }
          } catch (error) {
            if (!(error instanceof DirectoryError)) throw error
            return { url, problem: error }
          }
        }),
      )
    },
  }
}

/**
 * A password that is empty, or ends early to a server that counts to a NUL, must not reach the directory: it may say yes
 * (RFC 4513 section 5.1.2).
 */
const isUsable = ({ name }: Who, password: string): boolean =>
  password !== '' &&
  !password.includes('\0') &&
  (name === undefined || (name.trim() !== '' && name.length <= NAME_LIMIT && !name.includes('\0')))

/** @throws DirectoryError */
async function openAt(
  settings: LdapSettings,
  url: string,
  deadline: AbortSignal,
  patience: number,
): Promise<Session> {
  const opening = new AbortController()
  const timer = setTimeout(() => opening.abort(), patience)
  const signal = AbortSignal.any([deadline, opening.signal])
  let session: Session
  try {
    session = await openSession(await openSocket(url, settings.tls, signal))
  } catch (cause) {
    throw new DirectoryError('away', messageOf(cause), { cause })
  } finally {
    clearTimeout(timer)
  }
  if (settings.bind_dn === undefined) return session
  const bound = await session.bind(settings.bind_dn, settings.bind_password ?? '')
  if (bound === 'ok') return session
  await session.close()
  throw new DirectoryError('misconfigured', `ldap.bind_dn and its password are refused: ${bound.code}`)
}

/** Finds the entry as the reader, then signs in with it. */
async function searchAndBind(
  settings: LdapSettings,
  session: Session,
  { name, known }: Who,
  password: string,
  admit: Admit,
): Promise<Authentication> {
  const byName = name === undefined ? undefined : await findByName(settings, session, name)
  if (byName === 'several') return { result: 'refused', reason: 'ambiguous', code: 'several entries' }
  const found = byName ?? (known && (await findById(settings, session, known.id)))
  if (!found) {
    // The time of a wrong password, as far as that is ours to decide.
    await session.bind(`cn=${NOBODY},${settings.search?.base}`, password)
    return { result: 'refused', reason: 'wrong', code: 'no entry' }
  }
  await admit(found.id)
  const entry = { ...found, groups: await groupsOf(settings, session, found) }
  const bound = await session.bind(entry.dn, password)
  return bound === 'ok' ? { result: 'ok', entry } : { result: 'refused', ...bound }
}

/** Signs in as the person, who then reads their own entry. */
async function bindAndRead(
  settings: LdapSettings,
  session: Session,
  template: string,
  { name, known }: Who,
  password: string,
): Promise<Authentication> {
  if (name !== undefined && !/^[!-~]+$/.test(name))
    return { result: 'refused', reason: 'wrong', code: 'not usable' }
  const dn = name === undefined ? known?.dn : fill(template, () => name, escapeDnValue)
  const bound = await session.bind(dn ?? '', password)
  if (bound !== 'ok') return { result: 'refused', ...bound }
  const found = await find(settings, session, { base: dn ?? '', scope: 'base', filter: '(objectClass=*)' })
  if (!found || found === 'several')
    throw new DirectoryError('misconfigured', 'somebody who signed in may not read their own entry')
  return { result: 'ok', entry: { ...found, groups: await groupsOf(settings, session, found) } }
}

function findByName(settings: LdapSettings, session: Session, name: string) {
  const { search } = settings
  const filter = search && fill(search.filter, () => name, escapeFilterValue)
  if (!search || filter === undefined) throw new DirectoryError('misconfigured', 'ldap.search is missing')
  return find(settings, session, { base: search.base, scope: search.scope, filter })
}

async function findById(settings: LdapSettings, session: Session, id: string): Promise<Entry | undefined> {
  const { search, attributes } = settings
  const filter = filterOfId(attributes.id, id)
  const found = search && (await find(settings, session, { base: search.base, scope: search.scope, filter }))
  return found === 'several' ? undefined : found
}

/** The entry that matches; of several that match none is anybody's. */
async function find(
  settings: LdapSettings,
  session: Session,
  search: { base: string; scope: 'sub' | 'one' | 'base'; filter: string },
): Promise<Entry | 'several' | undefined> {
  const attributes = [...WANTED, settings.attributes.id]
  const [entry, another] = await session.search({ ...search, attributes, limit: 2 })
  if (another) return 'several'
  return entry && entryOf(entry, settings.attributes.id)
}

/** Groups that one person may be in. */
const GROUP_LIMIT = 1000

/** The names of the groups that a person is in, by the search of the configuration; undefined when there is none. */
async function groupsOf(settings: LdapSettings, session: Session, entry: Entry): Promise<string[]> {
  const { groups } = settings
  if (!groups) return entry.groups
  const value = (name: string) =>
    name === 'dn' ? entry.dn : entry.attributes[name.slice('user.'.length).toLowerCase()]?.[0]
  const filter = fill(groups.filter, value, escapeFilterValue)
  // Without the attribute that groups name people by, nobody is in one.
  if (filter === undefined) return []
  const { base, scope, attribute } = groups
  const found = await session.search({ base, scope, filter, attributes: [attribute], limit: GROUP_LIMIT })
  return found.flatMap((group) => {
    const key = Object.keys(group).find((name) => name.toLowerCase() === attribute.toLowerCase())
    const [name] = key === undefined ? [] : [group[key]].flat()
    return typeof name === 'string' ? [name] : []
  })
}

const NOBODY_ENTRY: Entry = { id: NOBODY, dn: `cn=${NOBODY}`, attributes: {}, names: {}, groups: [] }
