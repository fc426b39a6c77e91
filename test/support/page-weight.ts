/** What a page weighs, uncompressed, and what it asks other hosts for. */
export interface PageWeight {
  bytes: number
  /** Addresses of other hosts that the browser would load something from. */
  foreign: string[]
}

/**
 * Weighs an HTML page with everything that it loads: style, script, pictures, the worker of the proof of work. Left out
 * is the estimator of the meter (`data-strength`), which is fetched when somebody types a password. `fileOf` gives the
 * content of an address on our own host; it throws or gives undefined for what is not there.
 */
export function pageWeight(html: string, fileOf: (address: string) => Uint8Array | undefined): PageWeight {
  let bytes = new TextEncoder().encode(html).byteLength
  const foreign: string[] = []
  for (const address of loadedBy(html)) {
    if (/^(https?:)?\/\//.test(address)) foreign.push(address)
    else {
      const file = fileOf(address)
      if (!file) throw new Error(`The page loads ${address}, which is not there.`)
      bytes += file.byteLength
    }
  }
  return { bytes, foreign }
}

/** The addresses that a browser loads for a page, each once, as the page has them. */
export function loadedBy(html: string): Set<string> {
  const found = new Set<string>()
  for (const [, name = '', attributes = ''] of html.matchAll(
    /<(link|script|img|iframe|input)\b((?:[^>"]|"[^"]*")*)>/g,
  )) {
    const wanted = { link: 'href', input: 'data-proof' }[name] ?? 'src'
    const address = new RegExp(`\\s${wanted}="([^"]+)"`).exec(attributes)?.[1]
    if (address) found.add(address.replaceAll('&amp;', '&'))
  }
  return found
}
