import { parseConfig } from '../../src/config/load.ts'
import type { Config, ConfigInput } from '../../src/config/schema.ts'

const isMapping = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Mappings key by key, everything else (lists too) replaced. */
function overlay(base: Record<string, unknown>, over: Record<string, unknown>): Record<string, unknown> {
  const result = { ...base }
  for (const [key, value] of Object.entries(over)) {
    const before = result[key]
    result[key] = isMapping(before) && isMapping(value) ? overlay(before, value) : value
  }
  return result
}

const BASE = {
  http: { public_base: 'http://auth.test/' },
  matrix: { kind: 'standalone', homeserver: 'example.test', secret: 'test-shared-secret-of-matrix' },
  secrets: { encryption: '0123456789abcdef'.repeat(4) },
  account: { password_registration_enabled: true, password_registration_email_required: false },
}

const none = async (path: string): Promise<never> => {
  throw new Error(`a test configuration reads no files, not even ${path}`)
}

/**
 * A valid configuration for tests: `http://auth.test/`, standalone for `example.test`, no signing keys (tests pass
 * them separately), registration without email. `overrides` are laid over it; lists replace.
 */
export async function testConfig(overrides: ConfigInput = {}): Promise<Config> {
  const { config } = await parseConfig(overlay(BASE, overrides), {
    source: 'the test configuration',
    readFile: none,
    readDir: none,
  })
  return config
}
