import { type Homeserver, HomeserverError } from './homeserver.ts'

/** `homeserver` for looking only: questions pass, every change throws `refused` without a call. */
export function readOnlyHomeserver(homeserver: Homeserver): Homeserver {
  const refuse = async (): Promise<never> => {
    throw new HomeserverError(
      'refused',
      'nothing was sent: matrix.kind is synapse_read_only, so Latchkey changes nothing on the homeserver',
    )
  }
  return {
    ...homeserver,
    kind: 'synapse_read_only',
    provisionUser: refuse,
    upsertDevice: refuse,
    updateDeviceDisplayName: refuse,
    deleteDevice: refuse,
    syncDevices: refuse,
    deleteUser: refuse,
    reactivateUser: refuse,
    setDisplayName: refuse,
    unsetDisplayName: refuse,
    setAvatarUrl: refuse,
    uploadMedia: refuse,
    allowCrossSigningReset: refuse,
  }
}
