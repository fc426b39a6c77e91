import { MatrixError, Unavailable } from '../../http/errors.ts'
import { beginCompatSession } from '../../matrix/compat/session.ts'
import { CommandError, type Context, note, say } from '../context.ts'
import type { ConfigOnly } from '../flags.ts'
import { homeserverAway } from './personal-tokens.ts'
import { requireUser, withLatchkey } from './with-latchkey.ts'

interface Flags extends ConfigOnly {
  deviceId?: string
  yesIWantToGrantSynapseAdminPrivileges?: boolean
  json?: boolean
}

/** `latchkey manage issue-compatibility-token`: the device id is behind the name, as MAS takes it, or a flag. */
export default async function issueCompatibilityToken(
  this: Context,
  flags: Flags,
  username: string,
  argument?: string,
): Promise<void> {
  if (argument !== undefined && flags.deviceId !== undefined && argument !== flags.deviceId)
    throw new CommandError('Give the device id once: behind the name, or with --device-id.')
  const deviceId = argument ?? flags.deviceId
  if (deviceId !== undefined && !/^[\x21-\x7e]{1,255}$/.test(deviceId))
    throw new CommandError('The device id must have 1 to 255 visible characters.')
  await withLatchkey(this, flags, async (deps) => {
    const user = await requireUser(deps, username)
    const login = {
      user,
      deviceId,
      deviceName: undefined,
      browserSessionId: null,
      withRefreshToken: false,
      synapseAdmin: flags.yesIWantToGrantSynapseAdminPrivileges ?? false,
      unlimited: true,
      requester: { ip: undefined, userAgent: undefined },
    }
    const issued = await beginCompatSession(deps, login).catch((error: unknown) => {
      if (error instanceof Unavailable) throw homeserverAway(deps, error)
      if (error instanceof MatrixError)
        throw new CommandError(`The account ${user.username} is locked or deactivated; there is no token.`)
      throw error
    })
    say(this, flags.json ? JSON.stringify(issued) : issued.access_token)
    if (!flags.json)
      note(
        this,
        `It acts as ${user.username}, device ${issued.device_id}, until its session ends: latchkey manage kill-sessions ${user.username}`,
      )
  })
}
