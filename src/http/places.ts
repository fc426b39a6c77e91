// node:fs and not Bun.file: templates ask while they render, which is synchronous.
import { readFileSync } from 'node:fs'
import { type CityResponse, Reader } from 'mmdb-lib'
import type { Log } from '../telemetry/log.ts'

/** Where an address is, in a language: "Hamburg, Germany"; undefined when nobody knows. */
export type PlaceOf = (ip: string, lang: string) => string | undefined

/**
 * Looks places up in the operator's file (MMDB: GeoLite2, DB-IP and the like; city or country). It is read at the first
 * question, and nothing is asked of anybody else. A file that cannot be read is logged once, and no place is known.
 */
export function createPlaces(path: string | undefined, log: Pick<Log, 'warn'>): PlaceOf {
  let reader: Reader<CityResponse> | undefined | 'none' = path === undefined ? 'none' : undefined
  return (ip, lang) => {
    if (reader === undefined && path !== undefined)
      try {
        reader = new Reader<CityResponse>(readFileSync(path))
      } catch (error) {
        reader = 'none'
        log.warn('geoip.unreadable', { path, error })
      }
    if (reader === undefined || reader === 'none') return undefined
    return describe(find(reader, ip), lang)
  }
}

function find(reader: Reader<CityResponse>, ip: string): CityResponse | null {
  try {
    return reader.get(ip)
  } catch {
    // No address, or one of the other family in a file for IPv4.
    return null
  }
}

function describe(found: CityResponse | null, lang: string): string | undefined {
  const country = found?.country ?? found?.registered_country
  const parts = [
    nameIn(found?.city?.names, lang),
    countryIn(country?.iso_code, lang) ?? nameIn(country?.names, lang),
  ]
  const known = parts.filter((part) => part !== undefined)
  return known.length === 0 ? undefined : known.join(', ')
}

/** The name in a language, or in English: names by language tag, as such files have them. */
function nameIn(names: object | undefined, lang: string): string | undefined {
  const byTag = new Map<string, string>(Object.entries(names ?? {}))
  return byTag.get(lang) ?? byTag.get(lang.split('-')[0] ?? '') ?? byTag.get('en')
}

/** The platform knows more languages than such files have. */
function countryIn(code: string | undefined, lang: string): string | undefined {
  try {
    return code === undefined ? undefined : new Intl.DisplayNames(lang, { type: 'region' }).of(code)
  } catch {
    return undefined
  }
}
