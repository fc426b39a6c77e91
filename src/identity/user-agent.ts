/**
 * A short description of a User-Agent for people: "Firefox on Linux", "Pixel 9 (Android)". Undefined when nothing is
 * recognised. Deliberately small: names that people know, no versions, no database.
 */
export function describeUserAgent(userAgent: string | undefined): string | undefined {
  if (!userAgent) return undefined
  if (!userAgent.includes('Mozilla/')) return describeApp(userAgent)
  const browser = BROWSERS.find(([pattern]) => pattern.test(userAgent))?.[1]
  const system = SYSTEMS.find(([pattern]) => pattern.test(userAgent))?.[1]
  if (browser && system) return `${browser}, ${system}`
  return browser ?? system
}

/**
 * The same from our own words alone, for mails: a stranger can have one sent to anybody, and whatever their User-Agent
 * says would stand in it.
 */
export function knownUserAgent(userAgent: string | undefined): string | undefined {
  if (!userAgent) return undefined
  if (userAgent.includes('Mozilla/')) return describeUserAgent(userAgent)
  return SYSTEMS.find(([pattern]) => pattern.test(userAgent))?.[1]
}

/** Order matters: most browsers also name the ones that they descend from. */
const BROWSERS: [RegExp, string][] = [
  [/Electron\//, 'Desktop app'],
  [/Edg(e|A|iOS)?\//, 'Edge'],
  [/OPR\/|Opera/, 'Opera'],
  [/SamsungBrowser\//, 'Samsung Internet'],
  [/Firefox\/|FxiOS\//, 'Firefox'],
  [/Chrome\/|CriOS\//, 'Chrome'],
  [/Safari\//, 'Safari'],
]

const SYSTEMS: [RegExp, string][] = [
  [/iPhone|iPod/, 'iOS'],
  [/iPad/, 'iPadOS'],
  [/Android/, 'Android'],
  [/CrOS/, 'ChromeOS'],
  [/Windows/, 'Windows'],
  [/Macintosh|Mac OS X/, 'macOS'],
  [/Linux|X11/, 'Linux'],
]

/** Matrix apps: `Name/Version (model; system; …)` (reference operations 9). */
function describeApp(userAgent: string): string | undefined {
  const segments = /\(([^)]*)\)/
    .exec(userAgent)?.[1]
    ?.split(';')
    .map((part) => part.trim())
  if (!segments?.[0]) return undefined
  const [model = '', system] =
    /^Linux$/.test(segments[0]) && segments.length > 3 ? segments.slice(2) : segments
  const family = SYSTEMS.find(([pattern]) => pattern.test(system ?? userAgent))?.[1]
  return family && family !== model ? `${model}, ${family}` : model
}
