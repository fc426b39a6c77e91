// node:fs and not Bun.file: the files are few and small, read once and served from memory on any runtime.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { base64url } from '../lib/base64url.ts'
import { sha256 } from '../lib/digest.ts'

/** A static file as it goes out. `immutable`: asked for by its hash, so it may be cached for ever. */
export interface Asset {
  bytes: Uint8Array<ArrayBuffer>
  contentType: string
  immutable: boolean
}

/** The static files of the pages. */
export interface Assets {
  /** Where `name` is served, below the base path, with a hash of its content; throws for a name that is not there. */
  url(name: string): string
  /** The file for a path below `assets/`: `<hash>.<name>`, or the plain name. Undefined when there is none. */
  get(path: string): Asset | undefined
  /** Adds a file, or replaces it, while the service runs: what is built after the start. */
  add(name: string, bytes: Uint8Array<ArrayBuffer>): void
}

const CONTENT_TYPES: Record<string, string> = {
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
  png: 'image/png',
  ico: 'image/x-icon',
  webp: 'image/webp',
  woff2: 'font/woff2',
}

/**
 * Reads the files of `directories` (later ones win: an operator's own logo or style) into memory. `base` is the path
 * prefix, ending in `/`. What is asked for is looked up in a map of these names and never joined to a path, so nothing
 * outside can be reached. Files of unknown types and sub-directories are left out.
 */
export function createAssets(directories: readonly string[], base: string): Assets {
  const files = new Map<string, { hash: string; bytes: Uint8Array<ArrayBuffer>; contentType: string }>()
  const add = (name: string, bytes: Uint8Array<ArrayBuffer>): void => {
    const contentType = CONTENT_TYPES[name.slice(name.lastIndexOf('.') + 1)]
    if (contentType === undefined) return
    files.set(name, { hash: base64url(sha256(bytes)).slice(0, 16), bytes, contentType })
  }
  for (const directory of directories) {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      const known = CONTENT_TYPES[entry.name.slice(entry.name.lastIndexOf('.') + 1)] !== undefined
      if (entry.isFile() && known) add(entry.name, new Uint8Array(readFileSync(join(directory, entry.name))))
    }
  }

  return {
    add,
    url(name) {
      const file = files.get(name)
      if (!file) throw new Error(`No static file ${name}`)
      return `${base}assets/${file.hash}.${name}`
    },
    get(path) {
      const plain = files.get(path)
      if (plain) return { bytes: plain.bytes, contentType: plain.contentType, immutable: false }
      const dot = path.indexOf('.')
      const file = files.get(path.slice(dot + 1))
      if (!file) return undefined
      // A stale hash still answers, so a page that was open during an upgrade keeps working; it is not cached then.
      return { bytes: file.bytes, contentType: file.contentType, immutable: path.slice(0, dot) === file.hash }
    },
  }
}
