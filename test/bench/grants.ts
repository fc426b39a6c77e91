import type { Sql } from '../../sql/connect.ts'
import { sha256 } from '../../src/lib/digest.ts'
import { newId, uuidFromUlid } from '../../src/lib/ulid.ts'
import { DEVICE_CODE_GRANT } from '../../src/oauth/device.ts'
import { formPost } from './load.ts'
import { range } from './requests.ts'
import { seededRandom } from './seed.ts'
import type { Bench } from './setup.ts'
import { table } from './stats.ts'
import { HEADINGS, ratios, row, run, type Subject } from './subject.ts'

/** Requests of a round. */
const REQUESTS = 2000

/**
 * The grants that machines use, beside the committed insert: client credentials, which store a session and a token, and
 * the poll of a device whose person has not answered, which notes when it came. Every poll is of another device, so that
 * none comes too early.
 */
export async function measureGrants(
  { sql, port, baselinePort }: Bench,
  { pid, connections, rounds }: { pid: number; connections: number; rounds: number },
): Promise<void> {
  const subject = (part: Omit<Subject, 'rounds' | 'requests'>): Subject => ({
    ...part,
    requests: REQUESTS,
    rounds: [],
  })
  const { client_id: id, client_secret: secret } = await register(port, {
    grant_types: ['client_credentials'],
    token_endpoint_auth_method: 'client_secret_basic',
  })
  const device = await register(port, {
    grant_types: [DEVICE_CODE_GRANT],
    token_endpoint_auth_method: 'none',
    application_type: 'native',
  })
  const codes = await seedDevices(sql, device.client_id, (rounds + 2) * REQUESTS)
  const headers = `authorization: Basic ${btoa(`${id}:${secret}`)}\r\n`
  let turn = 0
  const insert = subject({
    name: 'baseline: insert',
    port: baselinePort,
    next: () => formPost('/insert', ''),
  })
  const credentials = subject({
    name: 'client credentials',
    port,
    next: () => formPost('/oauth2/token', 'grant_type=client_credentials', headers),
  })
  const polling = subject({
    name: 'device polling',
    port,
    status: 403,
    next: () =>
      formPost(
        '/oauth2/token',
        `grant_type=${DEVICE_CODE_GRANT}&client_id=${device.client_id}&device_code=${codes[turn++]}`,
      ),
  })
  const all = [insert, credentials, polling]
  for (const warm of all) await run({ ...warm, requests: 2 * REQUESTS, rounds: [] }, pid, connections)
  for (let round = 0; round < rounds; round++) for (const each of all) await run(each, pid, connections)

  console.log(`\n${connections} connections, ${rounds} interleaved rounds\n`)
  console.log(table(HEADINGS, all.map(row)))
  console.log(`\nclient credentials / insert: ${ratios(credentials, insert)}`)
  console.log(`device polling / insert: ${ratios(polling, insert)}`)
}

/** Registers a client as an app does. */
async function register(
  port: number,
  metadata: object,
): Promise<{ client_id: string; client_secret?: string }> {
  const response = await fetch(`http://127.0.0.1:${port}/oauth2/registration`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ client_name: 'Bench', client_uri: 'https://app.example.com/', ...metadata }),
  })
  if (response.status !== 201) throw new Error(`${response.status}: ${await response.text()}`)
  return (await response.json()) as { client_id: string; client_secret?: string }
}

/** Adds `count` devices that wait for their people; gives their device codes. */
async function seedDevices(sql: Sql, clientId: string, count: number): Promise<string[]> {
  const now = new Date()
  const random = seededRandom('devices')
  const codes = range(count).map((index) => String(index).padStart(32, '0'))
  await sql`
    insert into latchkey.device_grants (id, client_id, scope, device_code_hash, user_code_hash, sealed_user_code,
      created_at, expires_at, interval_seconds)
    select id, ${uuidFromUlid(clientId) ?? ''}, array['openid'], decode(device, 'hex'), decode(typed, 'hex'), '', ${now},
      ${new Date(now.getTime() + 3_600_000)}, 5
    from unnest(${codes.map(() => newId(now, random))}::uuid[], ${codes.map((code) => sha256(code).toHex())}::text[],
      ${codes.map((code) => sha256(`user code ${code}`).toHex())}::text[]) as d (id, device, typed)`
  await sql`analyze latchkey.device_grants`
  return codes
}
