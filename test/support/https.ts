import { selfSigned } from './certificate.ts'

/** A server on `https:` at a free port of `127.0.0.1`, with a certificate that it signed itself for `host`. */
export async function serveHttps(
  host: string,
  handle: (request: Request) => Response | Promise<Response>,
): Promise<{ port: number; stop(): Promise<void> }> {
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    tls: await selfSigned(host),
    fetch: handle,
  })
  return { port: server.port ?? 0, stop: () => server.stop(true) }
}
