import { buildCommand } from '@stricli/core'
import { aliases, json, shared } from '../flags.ts'
import { changing } from './parameters.ts'

/** `latchkey manage …` that is about the homeserver as a whole. */
export const homeserverRoutes = {
  provisionAllUsers: buildCommand({
    loader: () => import('./homeserver.ts').then((module) => module.provisionAllUsers),
    parameters: { flags: changing, aliases },
    docs: {
      brief: 'Tell the homeserver about every account again',
      fullDescription: `Names of new people, addresses, locks and devices, as for a homeserver that lost them. Says how far it is; Ctrl-C
leaves the rest to a running server.

Example: latchkey manage provision-all-users`,
    },
  }),
  checkHomeserver: buildCommand({
    loader: () => import('./homeserver.ts').then((module) => module.checkHomeserver),
    parameters: { flags: { ...shared, json }, aliases },
    docs: {
      brief: 'Compare every account with the homeserver and repair what differs',
      fullDescription: `What is done every night, now: after a backup was restored, for example. Prints what was found.

Example: latchkey manage check-homeserver`,
    },
  }),
}
