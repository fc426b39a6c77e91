import { createServer, type Socket } from 'node:net'

/** The result of an LDAP operation (RFC 4511 section 4.1.9). */
export interface LdapResult {
  code: number
  message?: string
}

/** A server that answers every bind as it is told, for what a real directory does not say on demand. */
export interface ScriptedDirectory {
  url: string
  /** What the next binds are answered with; undefined: nothing at all. */
  result: LdapResult | undefined
  /** What follows the yes to StartTLS, before any encryption. */
  injected: Uint8Array
  /** Connections so far, and everything that came over them. */
  connections: number
  received: Buffer
  close(): Promise<void>
}

const RESPONSES: Readonly<Record<number, number>> = { 96: 0x61, 119: 0x78 }

export async function startScriptedDirectory(): Promise<ScriptedDirectory> {
  const open = new Set<Socket>()
  const directory: ScriptedDirectory = {
    url: '',
    result: { code: 0 },
    injected: new Uint8Array(),
    connections: 0,
    received: Buffer.alloc(0),
    close: () => {
      for (const socket of open) socket.destroy()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
  const server = createServer((socket) => {
    directory.connections += 1
    open.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => open.delete(socket))
    socket.on('data', (data: Buffer) => {
      directory.received = Buffer.concat([directory.received, data])
      const { result } = directory
      const operation = data[5] ?? 0
      const response = RESPONSES[operation]
      if (!result || response === undefined || data[0] !== 0x30) return
      const message = new TextEncoder().encode(result.message ?? '')
      const body = [0x0a, 1, result.code, 0x04, 0, 0x04, message.length, ...message]
      const whole = [0x02, 1, data[4] ?? 0, response, body.length, ...body]
      socket.write(Uint8Array.from([0x30, whole.length, ...whole, ...directory.injected]))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  directory.url = `ldap://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
  return directory
}
