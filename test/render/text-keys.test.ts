import { describe, expect, test } from 'bun:test'
import { fileURLToPath } from 'node:url'
import english from '../../views/locales/en.json' with { type: 'json' }
import { DYNAMIC, dynamicPatterns, namedKeys, readSources, unusedKeys } from './text-keys.ts'

const sources = readSources(fileURLToPath(new URL('../..', import.meta.url)))
const keys = Object.keys(english)

describe('keys of texts', () => {
  test('every key that a template or the code names has a text', () => {
    const named = namedKeys(sources)
    expect(named.size).toBeGreaterThan(400)
    expect([...named].filter(([key]) => !keys.includes(key))).toEqual([])
  })

  test('every way in which keys are put together is documented, and every documented one is in use', () => {
    const found = dynamicPatterns(sources, keys)
    expect([...found].filter(([pattern]) => !(pattern in DYNAMIC))).toEqual([])
    expect(Object.keys(DYNAMIC).filter((pattern) => !found.has(pattern))).toEqual([])
  })

  test('every text is used', () => {
    expect(unusedKeys(keys, sources)).toEqual([])
  })

  test('what the three look for they find: a missing key, a new pattern, an unused key, also one of a pattern', () => {
    const page = {
      path: 'views/pages/new.html',
      text: "{{ t('no.such') }}{{ t('a.b' if x else 'c.d') }}{{ t('login.' ~ kind) }}",
    }
    expect([...namedKeys([page]).keys()]).toEqual(['no.such', 'a.b', 'c.d'])
    expect([...dynamicPatterns([page], keys).keys()]).toEqual(['login.*'])
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the text of a program
    const code = { path: 'src/new.ts', text: "translate.text(lang, 'e.f') + text(base, `login.x_${kind}`)" }
    expect([...namedKeys([code]).keys()]).toEqual(['e.f'])
    expect([...dynamicPatterns([code], ['login.x_y']).keys()]).toEqual(['login.x_*'])
    const dead = [
      'apps.nobody',
      'security_event.never_heard_of',
      'sessions.sort_colour',
      'problem.never_heard_of.lead',
    ]
    expect(unusedKeys([...keys, ...dead], sources)).toEqual(dead)
    expect(unusedKeys(['no.such', 'a.b'], [page])).toEqual([])
  })
})
