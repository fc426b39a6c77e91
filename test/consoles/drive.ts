import type { Page } from 'playwright-core'

/** Where a console is opened, and the homeserver that it administers. */
export const CONSOLE = 'https://console.example.com'
export const MATRIX = 'https://matrix.example.com'
/** The name after the colon: see `SERVER_NAME` of the demo. */
export const SERVER_NAME = 'localhost'

/** What drives a console. It throws where the console does not do what it should. */
export type Drive = (hands: {
  page: Page
  /** Does something, and waits for the request of the console that comes of it; throws when it is refused. */
  called(method: string, address: RegExp, act: () => Promise<void>): Promise<void>
}) => Promise<void>
