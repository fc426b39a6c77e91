import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { type Static, Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { sha256 } from '../../lib/digest.ts'
import { codeOf } from '../../lib/thrown.ts'

const Kept = Type.Object({
  /** For people who look into the file. */
  server: Type.String(),
  client_id: Type.String(),
  scope: Type.String(),
  access_token: Type.String({ pattern: '^[\\x21-\\x7e]+$' }),
  /** Milliseconds since the epoch; null when the server did not say. */
  expires_at: Type.Union([Type.Number(), Type.Null()]),
  refresh_token: Type.Optional(Type.String({ minLength: 1 })),
})
const KeptCheck = TypeCompiler.Compile(Kept)
/** What is kept of a sign-in. */
export type Kept = Static<typeof Kept>

/** Which sign-in: one for each server, client and scope. */
export interface Wanted {
  server: URL
  clientId: string
  scope: string
}

/**
 * Where it is kept: in the state folder (XDG Base Directory), readable by its owner alone. The name says nothing, since
 * addresses and scopes have characters that names can't have.
 */
export function keptAt(env: Readonly<Record<string, string | undefined>>, wanted: Wanted): string {
  const folder = env.XDG_STATE_HOME || join(env.HOME || homedir(), '.local', 'state')
  const name = sha256(JSON.stringify([wanted.server.href, wanted.clientId, wanted.scope])).toHex()
  return join(folder, 'latchkey', 'tokens', `${name.slice(0, 32)}.json`)
}

/** What is kept; undefined when there is nothing that can be used. */
export async function readKept(path: string): Promise<Kept | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'))
    return KeptCheck.Check(value) ? value : undefined
  } catch (error) {
    if (error instanceof SyntaxError || codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** Keeps it, complete or not at all: two commands may do so at once. */
export async function keep(path: string, kept: Kept): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const draft = `${path}.${process.pid}`
  // One that was killed may have left its own.
  await rm(draft, { force: true })
  try {
    await writeFile(draft, `${JSON.stringify(kept, null, 2)}\n`, { mode: 0o600, flag: 'wx' })
    await rename(draft, path)
  } finally {
    await rm(draft, { force: true })
  }
}

/** Forgets it. */
export const forget = (path: string): Promise<void> => rm(path, { force: true })
