import { isMapping } from './validate.ts'

/**
 * The variables that most programs take a proxy from fill the gaps of the `outgoing` section; the small spelling goes
 * first, as with curl. Gives a sentence for each that cannot be used.
 */
export function addProxyVariables(
  tree: Record<string, unknown>,
  env: Record<string, string | undefined>,
): string[] {
  const warnings: string[] = []
  const outgoing = tree.outgoing ?? {}
  if (!isMapping(outgoing)) return warnings
  const variable = (name: string) => env[name.toLowerCase()] || env[name] || undefined
  const proxy = (...names: string[]): string | undefined => {
    const name = names.find((one) => variable(one) !== undefined)
    const value = name && variable(name)
    if (!value) return undefined
    const address = value.includes('://') ? value : `http://${value}`
    if (/^https?:\/\/[^/]/i.test(address) && URL.canParse(address)) return address
    warnings.push(`${name}: is no http:// or https:// proxy, and is not used.`)
    return undefined
  }
  const given = {
    https_proxy: proxy('HTTPS_PROXY', 'ALL_PROXY'),
    http_proxy: proxy('HTTP_PROXY', 'ALL_PROXY'),
    no_proxy: variable('NO_PROXY')
      ?.split(/[\s,]+/)
      .filter((host) => host !== ''),
  }
  for (const [key, value] of Object.entries(given)) if (value !== undefined) outgoing[key] ??= value
  if (Object.keys(outgoing).length > 0) tree.outgoing = outgoing
  return [...new Set(warnings)]
}
