import packageFile from '../../package.json' with { type: 'json' }
import type { Log } from './log.ts'

/** How telemetry is sent: through the proxies of the configuration. */
export type OtlpFetch = (url: URL, init: RequestInit) => Promise<Response>

/** Who sends it (OpenTelemetry's resource attributes). */
export const RESOURCE = {
  'service.name': 'latchkey',
  'service.version': packageFile.version,
  'process.pid': process.pid,
} as const

/** Where a collector listens when the configuration does not say. */
const COLLECTOR = 'http://localhost:4318'
/** Milliseconds that a collector has: telemetry is worth no waiting. */
const DEADLINE = 10_000

/** The address that a signal goes to: the collector's path for it, unless the configuration has one of its own. */
export function otlpAddress(endpoint: string | undefined, signal: 'traces' | 'metrics'): URL {
  const url = new URL(endpoint ?? COLLECTOR)
  if (url.pathname === '/') url.pathname = `/v1/${signal}`
  return url
}

/** Sends telemetry as protobuf over HTTP. What can't be sent is lost, and the log says so once until it works again. */
export function otlpSender(url: URL, { fetch, log }: { fetch: OtlpFetch; log: Log }) {
  let failing = false
  const failed = (fields: object) => {
    if (!failing) log.warn('telemetry.not_sent', { url: url.origin + url.pathname, ...fields })
    failing = true
  }
  return async (body: Uint8Array | undefined): Promise<boolean> => {
    if (!body) return false
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/x-protobuf' },
        body: body as BodyInit,
        signal: AbortSignal.timeout(DEADLINE),
      })
      await response.body?.cancel()
      if (!response.ok) failed({ status: response.status })
      else failing = false
      return response.ok
    } catch (error) {
      failed({ error })
      return false
    }
  }
}
