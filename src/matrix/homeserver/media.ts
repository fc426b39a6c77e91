import { pathOf, type Tools } from './call.ts'
import { type CallOptions, type Homeserver, HomeserverError, type MatrixSettings } from './homeserver.ts'

/** Milliseconds for a picture on its way there: people's own lines do not matter, ours to the homeserver does. */
const UPLOAD_MS = 30_000
/** Milliseconds for a small picture on its way back: a page waits for it. */
const THUMBNAIL_MS = 5_000
/** Pixels of a small picture, twice what the page shows: a size that Synapse makes beforehand. */
const SIZE = '96'
/** Bytes of a small picture. A homeserver that makes none sends the whole one. */
const MAX_THUMBNAIL_BYTES = 5 * 1024 * 1024

/**
 * Pictures through the media API that Matrix clients use, below `matrix.endpoint`; the service API has none
 * (decision 6). The token is a person's, never the shared secret: this API may be another process than Synapse.
 */
export function mediaOf(
  matrix: Pick<MatrixSettings, 'endpoint'>,
  { fetch }: Pick<Tools, 'fetch'>,
): Pick<Homeserver, 'uploadMedia' | 'thumbnail'> {
  const base = new URL(matrix.endpoint.endsWith('/') ? matrix.endpoint : `${matrix.endpoint}/`)

  async function send(
    name: string,
    url: URL,
    token: string,
    timeoutMs: number,
    { signal }: CallOptions,
    init: RequestInit,
  ): Promise<{ status: number; type: string; bytes: Uint8Array<ArrayBuffer> }> {
    const deadline = AbortSignal.timeout(timeoutMs)
    try {
      const response = await fetch(url, {
        ...init,
        redirect: 'manual',
        signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
        headers: { authorization: `Bearer ${token}`, ...init.headers },
      })
      const bytes = await readBytes(response)
      if (response.status >= 500 || response.status === 429 || !bytes)
        throw new HomeserverError('unreachable', `${name}: ${response.status}`, { status: response.status })
      return { status: response.status, type: response.headers.get('content-type') ?? '', bytes }
    } catch (cause) {
      if (cause instanceof HomeserverError) throw cause
      throw new HomeserverError('unreachable', `${name}: could not be reached in time`, { cause })
    }
  }

  return {
    async uploadMedia(token, { type, bytes }, options = {}) {
      const url = new URL('_matrix/media/v3/upload', base)
      const answer = await send('upload', url, token, options.timeoutMs ?? UPLOAD_MS, options, {
        method: 'POST',
        headers: { 'content-type': type },
        body: bytes,
      })
      const uri = answer.status === 200 ? contentUri(answer.bytes) : undefined
      if (uri !== undefined) return uri
      // 413 and 403 are the homeserver's own rules about media; everything else is a matter of how it is set up.
      const kind = answer.status === 413 || answer.status === 403 ? 'rejected' : 'refused'
      throw new HomeserverError(
        kind,
        `upload: ${answer.status}; does matrix.endpoint serve /_matrix/media?`,
        {
          status: answer.status,
        },
      )
    },

    async thumbnail(token, uri, options = {}) {
      const [, server, id] = MXC.exec(uri) ?? []
      if (server === undefined || id === undefined) return undefined
      const url = new URL(`_matrix/client/v1/media/thumbnail/${pathOf(server, id)}`, base)
      url.search = new URLSearchParams({ width: SIZE, height: SIZE, method: 'crop' }).toString()
      const answer = await send('thumbnail', url, token, options.timeoutMs ?? THUMBNAIL_MS, options, {})
      return answer.status === 200 ? { type: answer.type, bytes: answer.bytes } : undefined
    },
  }
}

/** `mxc://server/id`: the id is opaque, the server a name of a homeserver (Matrix 1.11, content repository). */
const MXC = /^mxc:\/\/([a-zA-Z0-9.:[\]-]{1,255})\/([a-zA-Z0-9_-]{1,255})$/

function contentUri(bytes: Uint8Array): string | undefined {
  try {
    const { content_uri: uri } = JSON.parse(new TextDecoder().decode(bytes)) as { content_uri?: unknown }
    return typeof uri === 'string' && MXC.test(uri) ? uri : undefined
  } catch {
    return undefined
  }
}

/** The bytes of an answer; undefined when they are too many. */
async function readBytes(response: Response): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const parts: Uint8Array<ArrayBuffer>[] = []
  let length = 0
  // Leaving the loop early cancels the stream, and with it the connection.
  for await (const part of response.body ?? []) {
    length += part.length
    if (length > MAX_THUMBNAIL_BYTES) return undefined
    parts.push(part)
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer())
}
