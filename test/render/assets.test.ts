import { afterAll, describe, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAssets } from '../../src/render/assets.ts'

const root = mkdtempSync(join(tmpdir(), 'assets-'))
mkdirSync(join(root, 'ours/deep'), { recursive: true })
mkdirSync(join(root, 'theirs'))
writeFileSync(join(root, 'secret.css'), 'secret')
writeFileSync(join(root, 'ours/style.css'), 'a{}')
writeFileSync(join(root, 'ours/logo.svg'), '<svg/>')
writeFileSync(join(root, 'ours/notes.txt'), 'no')
writeFileSync(join(root, 'ours/deep/inner.css'), 'b{}')
writeFileSync(join(root, 'theirs/logo.svg'), '<svg id="theirs"/>')
afterAll(() => rmSync(root, { recursive: true }))

const text = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes)

describe('createAssets', () => {
  const assets = createAssets([join(root, 'ours'), join(root, 'theirs')], '/auth/')

  test('url: below the base path, with a hash that changes with the content', () => {
    expect(assets.url('style.css')).toMatch(/^\/auth\/assets\/[\w-]{16}\.style\.css$/)
    expect(assets.url('logo.svg')).not.toBe(createAssets([join(root, 'ours')], '/auth/').url('logo.svg'))
    expect(() => assets.url('missing.css')).toThrow('missing.css')
  })

  test('get: the hashed name is immutable, the plain name and a stale hash are not', () => {
    const hashed = assets.url('style.css').slice('/auth/assets/'.length)
    expect(assets.get(hashed)).toMatchObject({ contentType: 'text/css; charset=utf-8', immutable: true })
    expect(text(assets.get(hashed)?.bytes)).toBe('a{}')
    expect(assets.get('style.css')?.immutable).toBe(false)
    expect(assets.get('AAAAAAAAAAAAAAAA.style.css')?.immutable).toBe(false)
  })

  test('get: a later directory wins', () => expect(text(assets.get('logo.svg')?.bytes)).toContain('theirs'))

  test('get: nothing outside of the directories, no sub-directory, no unknown type', () => {
    for (const path of [
      '../secret.css',
      '..%2fsecret.css',
      'x./../secret.css',
      'deep/inner.css',
      'notes.txt',
      '',
      '.',
      '..',
      'constructor',
      '__proto__',
    ]) {
      expect(assets.get(path), path).toBeUndefined()
    }
  })
})
