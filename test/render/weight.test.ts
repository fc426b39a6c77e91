import { describe, expect, test } from 'bun:test'
import { fileURLToPath } from 'node:url'
import { createAssets } from '../../src/render/assets.ts'
import { createViews } from '../../src/render/engine.ts'
import { renderSamples } from '../../src/render/render-samples.ts'
import { createTranslate } from '../../src/render/translate.ts'
import { pageWeight } from '../support/page-weight.ts'

const VIEWS = fileURLToPath(new URL('../../views', import.meta.url))
const LIMIT = 60_000

const translate = createTranslate({ directory: `${VIEWS}/locales` })
const assets = createAssets([`${VIEWS}/static`], '/auth/')
const views = createViews({ directory: VIEWS, translate })

/** A person's own picture is theirs: it weighs nothing here. */
const fileOf = (address: string): Uint8Array | undefined =>
  address.startsWith('/auth/account/picture')
    ? new Uint8Array()
    : assets.get(address.replace('/auth/assets/', ''))?.bytes

describe('the weight of pages', () => {
  test('every page in every state and language, with all that it loads, is under 60 kB uncompressed', () => {
    const heavy: string[] = []
    let count = 0
    for (const { template, label, lang, parts } of renderSamples(views, {
      languages: translate.names,
      asset: assets.url,
    })) {
      if (!template.startsWith('pages/')) continue
      count++
      const { bytes } = pageWeight(parts?.html ?? '', fileOf)
      if (bytes >= LIMIT) heavy.push(`${template}, ${label}, ${lang}: ${bytes}`)
    }
    expect(count).toBeGreaterThan(1000)
    expect(heavy).toEqual([])
  }, 180_000)
})
