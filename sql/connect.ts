import postgres from 'postgres'
import { type DatabaseConfig, type DatabaseLocation, locate } from './location.ts'
import { arrayTypes } from './types.ts'

/** A pool of connections. */
export type Sql = postgres.Sql
/** One transaction of it. */
export type Tx = postgres.TransactionSql
/** Either: what query functions take. */
// biome-ignore lint/complexity/noBannedTypes: the driver's own default for "no custom types".
export type Db = postgres.ISql<{}>
/** What a jsonb column takes. The driver's type knows no `unknown`, which is what parsed JSON is. */
export type Json = postgres.JSONValue

export interface SqlOptions {
  /** Connections at most; else `max_connections`. */
  max?: number
  applicationName?: string
  /**
   * Seconds that the server may be silent while it owes an answer, before the connection is given up: a lost network
   * would otherwise hold it until the kernel gives up, after a quarter of an hour. 60 unless given; null for migrations
   * and other statements that take long.
   */
  stallTimeout?: number | null
  /** Told of each connection that is there: the milliseconds that it took. */
  onConnected?: ((ms: number) => void) | undefined
  /** Told of each query as it is sent; what it gives is called when the query is over. */
  onQuery?: OnQuery | undefined
}

/** Takes the text of a query without its values. */
export type OnQuery = (text: () => string) => (() => void) | undefined

/**
 * A pool on the configured database. Nothing is sent until the first query, and no session state is ever set, so
 * that a transaction-mode pooler may stand between. `timestamptz` come as Date, `int8` and `numeric` as text.
 */
export function createSql(database: DatabaseConfig, options: SqlOptions = {}): Sql {
  const { location, parameters } = locate(database)
  const sql = postgres({
    ...connectionOptions(location),
    ssl: tlsOptions(location),
    max: options.max ?? database.max_connections ?? 10,
    connect_timeout: database.connect_timeout ?? 30,
    idle_timeout: database.idle_timeout === null ? undefined : (database.idle_timeout ?? 600),
    max_lifetime: database.max_lifetime === undefined ? 1800 : database.max_lifetime,
    // Added by patches/postgres@3.4.9.patch.
    ...({
      stall_timeout: options.stallTimeout === undefined ? 60 : options.stallTimeout,
      onconnected: options.onConnected,
    } as object),
    prepare: database.pooler !== 'transaction',
    // A pooler takes the server away at the end of a transaction, and with it the answers to what was sent too early: one
    // statement at a time (`bun run poolers`).
    ...(database.pooler === 'transaction' && { max_pipeline: 0 }),
    // Saves a query on every new connection; types.ts has the array types instead.
    fetch_types: false,
    types: arrayTypes,
    // The driver's own delay grows to 20 s, which is how long the first requests after an outage would wait.
    backoff: (failures: number) => Math.min(0.05 * 2 ** failures, 0.5),
    connection: { application_name: options.applicationName ?? 'latchkey', ...parameters },
    onnotice: () => {},
  })
  return options.onQuery ? watched(sql, options.onQuery) : sql
}

/** A query of the driver, as far as it is watched. */
interface Query {
  strings: readonly string[]
  handler?: (query: Query) => unknown
}

/**
 * The same pool or transaction with its queries told. A query is lazy, and may be a part of another one: it counts when
 * the driver's handler takes it.
 */
function watched<S extends Sql | Tx>(sql: S, onQuery: OnQuery): S {
  const watch = (query: unknown): unknown => {
    const handler = (query as Query | null)?.handler
    if (typeof handler !== 'function') return query
    ;(query as Query).handler = (self) => {
      const over = onQuery(() => self.strings.join('?'))
      const handled = handler(self)
      if (over) Promise.prototype.then.call(query as Promise<unknown>, over, over)
      return handled
    }
    return query
  }
  return new Proxy(sql, {
    apply: (target, _, args) => watch(Reflect.apply(target as never, undefined, args)),
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      if (name === 'unsafe') return (...args: unknown[]) => watch(Reflect.apply(value, target, args))
      if (name === 'begin' || name === 'savepoint')
        return (...args: unknown[]) => {
          const fn = args.at(-1) as (tx: Tx) => unknown
          return Reflect.apply(value, target, [...args.slice(0, -1), (tx: Tx) => fn(watched(tx, onQuery))])
        }
      return value
    },
  })
}

/** The same database without the pooler: `direct_uri` where it is given, else unchanged. */
export function directDatabase(database: DatabaseConfig): DatabaseConfig {
  const {
    uri,
    host,
    port,
    socket,
    username,
    password,
    database: name,
    pooler,
    direct_uri,
    ...rest
  } = database
  return direct_uri === undefined ? database : { ...rest, uri: direct_uri }
}

function connectionOptions(location: DatabaseLocation): Record<string, unknown> {
  const { hosts, ports, username, password, database } = location
  return {
    ...(hosts.length === 1 && { host: hosts[0] }),
    // Or a connection would stay on a standby for half an hour, where nothing can be written: hosts are tried in turn, each
    // new connection beginning with the next one.
    ...(hosts.length > 1 && { host: hosts, target_session_attrs: 'primary' }),
    ...(ports.length > 0 && {
      port: hosts.length > 1 ? hosts.map((_, index) => ports[index] ?? ports[0]) : ports[0],
    }),
    ...(username !== undefined && { user: username }),
    ...(password !== undefined && { password }),
    ...(database !== undefined && { database }),
  }
}

/** libpq's ssl modes as options of TLS: only the `verify-` ones check the certificate. */
function tlsOptions({ sslMode, ca, certificate, key }: DatabaseLocation): boolean | 'prefer' | object {
  const client = certificate !== undefined && key !== undefined ? { cert: certificate, key } : undefined
  const roots = ca === undefined ? {} : { ca }
  switch (sslMode) {
    case 'disable':
      return false
    case 'require':
      return { rejectUnauthorized: false, ...client }
    case 'verify-ca':
      return { rejectUnauthorized: true, checkServerIdentity: () => undefined, ...roots, ...client }
    case 'verify-full':
      return { rejectUnauthorized: true, ...roots, ...client }
    default:
      // A client certificate asks for TLS; without one, TLS is used where the server offers it.
      return client ? { rejectUnauthorized: false, ...client } : 'prefer'
  }
}
