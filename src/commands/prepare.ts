import { findSetting, putSetting } from '../../sql/settings.ts'
import { anyUserExists, forgetProvisioning } from '../../sql/users.ts'
import type { Deps } from '../deps.ts'
import { transact } from '../lib/transact.ts'
import { CommandError } from './context.ts'

/** Where the server name is remembered. */
const HOMESERVER = 'matrix.homeserver'
/** Where the kind of homeserver is remembered. */
const KIND = 'matrix.kind'

/**
 * Refuses another `matrix.homeserver` than the accounts of this database were made for (decision 27): every Matrix id
 * has it as its second half. Without accounts the new name is taken over, unless nothing may be changed (`readOnly`).
 *
 * @throws CommandError
 */
export async function checkHomeserver(
  deps: Pick<Deps, 'config' | 'sql' | 'jobs' | 'log'>,
  { readOnly = false }: { readOnly?: boolean } = {},
): Promise<void> {
  const { homeserver } = deps.config.matrix
  const [known] = await findSetting(deps.sql, HOMESERVER)
  if (known?.value !== homeserver) {
    const [used] = known ? await anyUserExists(deps.sql) : []
    if (used?.exists) {
      throw new CommandError(
        `The accounts of this database belong to ${String(known?.value)}, and matrix.homeserver is now ${homeserver}: a server name can't change later; set it back, or give ${homeserver} a database of its own.`,
      )
    }
    if (!readOnly) await putSetting(deps.sql, HOMESERVER, homeserver)
  }
  // Only now: a start that is refused must not tell another server about these accounts.
  if (!readOnly) await noticeNewKind(deps)
}

/** A homeserver that comes to accounts which had none is told about all of them, by a job (decision 27). */
async function noticeNewKind(deps: Pick<Deps, 'config' | 'sql' | 'jobs' | 'log'>): Promise<void> {
  const { kind } = deps.config.matrix
  const [known] = await findSetting(deps.sql, KIND)
  if (known?.value === kind) return
  await transact(deps.sql, async (tx) => {
    await putSetting(tx, KIND, kind)
    if (known?.value !== 'standalone') return
    await forgetProvisioning(tx)
    await deps.jobs.enqueue(tx, 'provision-everyone', { after: null })
    deps.log.info('homeserver.connected', { kind })
  })
}
