import { describe, expect, test } from 'bun:test'
import { generateConfig } from '../../src/config/generate.ts'
import { configJsonSchema } from '../../src/config/json-schema.ts'
import { editDistance, nearest } from '../../src/config/nearest.ts'
import { unbuiltResources } from '../../src/config/unbuilt.ts'
import { systemRandom } from '../../src/lib/random.ts'
import { testConfig } from '../support/config.ts'
import { decode, PEM, parseText } from './support.ts'

describe('generateConfig', () => {
  const text = () => generateConfig({ random: systemRandom, signingKeyPem: [PEM, PEM] })

  test('loads without a warning', async () => {
    const { config, warnings } = await parseText(text())
    expect(warnings).toEqual([])
    expect(config.http.public_base).toBe('http://localhost:8080/')
    expect(config.http.listeners).toHaveLength(1)
    expect(config.http.listeners[0]?.binds).toEqual([{ host: 'localhost', port: 8080 }])
    expect(config.matrix).toMatchObject({ kind: 'standalone', homeserver: 'localhost' })
    expect(config.matrix.secret).toMatch(/^[0-9A-Za-z]{32}$/)
    expect(config.secrets.encryption).toMatch(/^[0-9a-f]{64}$/)
    expect(config.secrets.keys.map(({ key }) => decode(key))).toEqual([PEM, PEM])
    expect(config.secrets.keys.every(({ kid }) => /^[0-9A-Za-z]{10}$/.test(kid ?? ''))).toBe(true)
    expect(config.account).toMatchObject({
      password_registration_enabled: true,
      password_registration_email_required: false,
    })
  })

  test('has no database section, so that the embedded one runs', async () => {
    expect((await parseText(text())).config.database).toBeUndefined()
  })

  test('serves everything that is built, and nothing else', async () => {
    const { config } = await parseText(text())
    const names = config.http.listeners[0]?.resources.map(({ name }) => name) ?? []
    expect(names).toEqual(expect.arrayContaining(['discovery', 'human', 'oauth', 'assets', 'health']))
    expect(names.filter((name) => unbuiltResources().has(name))).toEqual([])
  })

  test('makes fresh secrets each time', async () => {
    const [one, two] = [await parseText(text()), await parseText(text())]
    expect(one.config.secrets.encryption).not.toBe(two.config.secrets.encryption)
    expect(one.config.matrix.secret).not.toBe(two.config.matrix.secret)
  })

  test('takes another port and server name', async () => {
    const yaml = generateConfig({ random: systemRandom, signingKeyPem: [], port: 9000, homeserver: 'a.test' })
    const { config } = await parseText(yaml)
    expect(config.http.public_base).toBe('http://localhost:9000/')
    expect(config.http.listeners[0]?.binds).toEqual([{ host: 'localhost', port: 9000 }])
    expect(config.matrix.homeserver).toBe('a.test')
    expect(config.secrets.keys).toEqual([])
  })
})

describe('configJsonSchema', () => {
  const schema = JSON.parse(JSON.stringify(configJsonSchema()))

  test('does not require keys that have a default', () => {
    expect(schema.required).toEqual([])
    expect(schema.properties.http.required).toEqual([])
    expect(schema.properties.clients.items.required).toEqual(['client_id', 'client_auth_method'])
    expect(schema.properties.rate_limiting.properties.registration.required).toEqual(['burst', 'per_second'])
  })

  test('refuses unknown keys and allows x- keys', () => {
    expect(schema.properties.oauth.additionalProperties).toBe(false)
    expect(schema.properties.oauth.patternProperties).toEqual({ '^x-': true })
  })

  test('keeps keys of the configuration and drops our own annotations', () => {
    expect(schema.properties.http.properties.public_base).toEqual({
      type: 'string',
      format: 'uri',
      default: 'http://localhost:8080/',
      description: expect.any(String),
    })
    expect(schema.properties.branding.properties.colours.properties.accent.hint).toBeUndefined()
  })
})

describe('testConfig', () => {
  test('gives a valid configuration, with overrides laid over it', async () => {
    const config = await testConfig({ matrix: { homeserver: 'other.test' } })
    expect(config.http.public_base).toBe('http://auth.test/')
    expect(config.matrix).toMatchObject({ kind: 'standalone', homeserver: 'other.test' })
    expect(config.account.password_registration_enabled).toBe(true)
  })
})

describe('nearest', () => {
  for (const [a, b, distance] of [
    ['', '', 0],
    ['abc', '', 3],
    ['kitten', 'sitting', 3],
    ['isseur', 'issuer', 1],
    ['ab', 'ba', 1],
  ] as const) {
    test(`editDistance: ${JSON.stringify(a)} and ${JSON.stringify(b)} are ${distance} apart`, () => {
      expect(editDistance(a, b)).toBe(distance)
    })
  }

  test('nearest: the first of the closest, or undefined without candidates', () => {
    expect(nearest('isuer', ['user', 'issuer', 'issue'])).toBe('issuer')
    expect(nearest('a', [])).toBeUndefined()
  })
})
