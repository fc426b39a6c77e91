import { type Fetch, type Homeserver, HomeserverError, type MatrixSettings } from './homeserver.ts'
import { readOnlyHomeserver } from './read-only.ts'
import { standaloneHomeserver } from './standalone.ts'
import { synapseHomeserver } from './synapse.ts'

/** The homeserver that the `matrix` section names. @throws HomeserverError */
export function createHomeserver(matrix: MatrixSettings, tools: { fetch: Fetch }): Homeserver {
  switch (matrix.kind) {
    case 'standalone':
      return standaloneHomeserver(matrix.homeserver)
    case 'synapse':
      return synapseHomeserver(matrix, tools)
    case 'synapse_read_only':
      return readOnlyHomeserver(synapseHomeserver(matrix, tools))
    case 'synapse_legacy':
      throw new HomeserverError(
        'refused',
        'matrix.kind "synapse_legacy" is not built yet. Set matrix.kind to "synapse" (Synapse 1.136 or later, with matrix_authentication_service switched on in homeserver.yaml).',
      )
  }
}
