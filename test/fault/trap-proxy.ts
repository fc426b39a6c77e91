import { type Relay, startRelay } from '../support/relay.ts'
import { readMessages } from './messages.ts'

/** A statement at which something happens: as the client sends it, or as the server has answered it. */
export interface Trap {
  at: 'sent' | 'answered'
  /** What the text of the statement has. */
  text: RegExp
  /** What its values have (`sent`), or its values or the rows of its answer (`answered`). */
  about: string
}

/**
 * A way to PostgreSQL that reads along, and stands still where a trap is. `caught` is asked at every statement; when it
 * says yes, neither the statement nor its answer is passed on, and every connection ends.
 */
export async function trapProxy(
  uri: string,
  caught: (moment: Trap['at'], text: string, about: string) => boolean,
): Promise<Pick<Relay, 'uri' | 'close'>> {
  const relay = await startRelay(uri, (client, server) => {
    /** The statement under way, its values and its rows: the driver sends them one after the other. */
    let text = ''
    let about = ''
    const spring = (moment: Trap['at']): boolean => {
      if (!caught(moment, text, about)) return false
      relay.drop()
      return true
    }
    const asked = readMessages('client')
    const answered = readMessages('server')
    client.on('data', (data: Buffer) => {
      for (const { type, body } of asked(data)) {
        const said = body.toString('latin1')
        // Parse (a name, then the text) and Query begin a statement; Bind has its values.
        if (type === 'P') text = said.slice(said.indexOf('\0') + 1)
        if (type === 'Q') text = said
        if (type === 'P' || type === 'Q') about = ''
        if (type === 'B') about += said
        if ((type === 'B' || type === 'Q') && spring('sent')) return
      }
      server.write(data)
    })
    server.on('data', (data: Buffer) => {
      for (const { type, body } of answered(data)) {
        if (type === 'D') about += body.toString('latin1')
        if (type === 'Z' && spring('answered')) return
      }
      client.write(data)
    })
  })
  return relay
}
