import { type Homeserver, HomeserverError } from './homeserver.ts'

/** No homeserver: every name is free as far as it is concerned, and every call succeeds without doing anything. */
export function standaloneHomeserver(serverName: string): Homeserver {
  const nothing = async () => {}
  return {
    kind: 'standalone',
    serverName,
    mxid: (localpart) => `@${localpart}:${serverName}`,
    queryUser: async () => ({ suspended: false, deactivated: false }),
    isLocalpartAvailable: async (localpart) => isAscii(localpart),
    provisionUser: async () => ({ created: false }),
    upsertDevice: async () => ({ created: false }),
    updateDeviceDisplayName: nothing,
    deleteDevice: nothing,
    syncDevices: nothing,
    deleteUser: nothing,
    reactivateUser: nothing,
    setDisplayName: nothing,
    unsetDisplayName: nothing,
    setAvatarUrl: nothing,
    uploadMedia: async () => {
      throw new HomeserverError('refused', 'nothing was sent: there is no homeserver that keeps pictures')
    },
    thumbnail: async () => undefined,
    allowCrossSigningReset: nothing,
  }
}

/** Whether a localpart is ASCII: Matrix has no others for new users, so no homeserver is asked (reference 10.1). */
export const isAscii = (text: string): boolean => !/[^\p{ASCII}]/u.test(text)
