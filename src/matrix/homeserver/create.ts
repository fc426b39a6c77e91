import type { Tools } from './call.ts'
import type { Homeserver, MatrixSettings } from './homeserver.ts'
import { readOnlyHomeserver } from './read-only.ts'
import { standaloneHomeserver } from './standalone.ts'
import { synapseHomeserver } from './synapse.ts'
import { synapseLegacyHomeserver } from './synapse-legacy.ts'

/** The homeserver that the `matrix` section names. */
export function createHomeserver(matrix: MatrixSettings, tools: Tools): Homeserver {
  switch (matrix.kind) {
    case 'standalone':
      return standaloneHomeserver(matrix.homeserver)
    case 'synapse':
      return synapseHomeserver(matrix, tools)
    case 'synapse_read_only':
      return readOnlyHomeserver(synapseHomeserver(matrix, tools))
    case 'synapse_legacy':
      return synapseLegacyHomeserver(matrix, tools)
  }
}
