import type { FakeHomeserver } from './fake-homeserver.ts'

/** A picture as the fake keeps it, and whose token brought it. */
export interface FakePicture {
  owner: string
  type: string
  bytes: Uint8Array<ArrayBuffer>
}

/** Bytes that the fake takes for a picture (`m.upload.size`). */
const LIMIT = 4 * 1024 * 1024

const problem = (status: number, errcode: string): Response =>
  Response.json({ errcode, error: errcode }, { status })

/** The media API of the homeserver (Matrix 1.11), for whom `fake.introspect` knows; undefined for any other path. */
export async function respondMedia(fake: FakeHomeserver, request: Request): Promise<Response | undefined> {
  const { pathname } = new URL(request.url)
  const upload = pathname === '/_matrix/media/v3/upload' && request.method === 'POST'
  const id = /^\/_matrix\/client\/v1\/media\/thumbnail\/([^/]+\/[^/]+)$/.exec(pathname)?.[1]
  if (!upload && (id === undefined || request.method !== 'GET')) return undefined
  const token = /^Bearer (.+)$/.exec(request.headers.get('authorization') ?? '')?.[1] ?? ''
  const owner = await fake.introspect?.(token)
  if (owner === undefined) return problem(401, 'M_UNKNOWN_TOKEN')
  if (id !== undefined) {
    const picture = fake.media.get(`mxc://${id}`)
    return picture
      ? new Response(picture.bytes, { headers: { 'content-type': picture.type } })
      : problem(404, 'M_NOT_FOUND')
  }
  const bytes = new Uint8Array(await request.arrayBuffer())
  if (bytes.length > LIMIT) return problem(413, 'M_TOO_LARGE')
  const uri = `mxc://${fake.serverName}/picture${fake.media.size + 1}`
  fake.media.set(uri, { owner, type: request.headers.get('content-type') ?? '', bytes })
  return Response.json({ content_uri: uri })
}
