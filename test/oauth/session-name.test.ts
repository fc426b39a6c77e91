import { expect, test } from 'bun:test'
import { fileURLToPath } from 'node:url'
import { sessionName } from '../../src/oauth/session-name.ts'
import { createTranslate } from '../../src/render/translate.ts'

const translate = createTranslate({
  directory: fileURLToPath(new URL('../../views/locales', import.meta.url)),
})
const client = (client_name: string) => ({
  id: '018f0000-0000-7000-8000-000000000000',
  is_static: false,
  auth_method: 'none',
  sealed_secret: null,
  redirect_uris: [],
  grant_types: [],
  metadata: { client_name },
  created_at: new Date('2026-11-24T12:00:00Z'),
  first_granted_at: null,
})

test('the name of a session has at most 100 characters: Synapse refuses a device with a longer one', () => {
  const long = (name: string, agent?: string) => [...sessionName(translate, client(name), agent, 'en')].length
  expect(long('App'.repeat(60))).toBe(100)
  expect(long('\u{1f511}'.repeat(60), `App/1.0 (${'Phone'.repeat(60)}; Android 16)`)).toBe(100)
  expect(sessionName(translate, client('App'), undefined, null)).toBe('App')
})
