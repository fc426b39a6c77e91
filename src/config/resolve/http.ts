import { contains, MAPPED_IPV4, type Network, parseNetwork } from '../../lib/ip.ts'
import { present, type Reading, secretBytes, secretText } from '../reading.ts'
import type { Path } from '../report.ts'
import type { Bind, MutableConfig, RawConfig, ResolvedListener } from '../schema.ts'

type RawListener = RawConfig['http']['listeners'][number]
type RawBind = RawListener['binds'][number]

/** `http`: slash at the end of `public_base`, issuer, binds in one shape, TLS files read. */
export async function resolveHttp(
  raw: RawConfig['http'],
  writtenBase: unknown,
  reading: Reading,
): Promise<MutableConfig['http']> {
  const { issuer, listeners: rawListeners, ...rest } = raw
  const base = raw.public_base.endsWith('/') ? raw.public_base : `${raw.public_base}/`
  if (base !== raw.public_base && writtenBase !== undefined) {
    reading.report.warn(['http', 'public_base'], `should end with a slash. It is read as ${base}`)
  }
  for (const [index, network] of raw.trusted_proxies.entries()) {
    const path = ['http', 'trusted_proxies', index]
    const parsed = parseNetwork(network)
    if (!parsed) reading.report.problem(path, 'must be an address or a network like `10.0.0.0/8`')
    else if (isMostOfTheInternet(parsed))
      reading.report.warn(
        path,
        'believes nearly everybody: whoever reaches this server can pretend to be at any address. Name the networks of your proxies',
      )
  }
  const listeners: ResolvedListener[] = []
  for (const [index, listener] of rawListeners.entries()) {
    listeners.push(await resolveListener(listener, ['http', 'listeners', index], reading))
  }
  return { ...rest, public_base: base, issuer: issuer ?? base, listeners }
}

/** Larger than any network that one operator has: shorter than /8. */
const isMostOfTheInternet = ({ address, bits }: Network): boolean =>
  contains(MAPPED_IPV4, address) && bits >= MAPPED_IPV4.bits ? bits < 96 + 8 : bits < 8

/** Which resource has which options. */
const OPTIONS: Readonly<Record<string, string>> = {
  playground: 'graphql',
  undocumented_oauth2_access: 'graphql',
  path: 'assets',
  homeserver_base_url: 'well-known',
  extra: 'well-known',
}

async function resolveListener(raw: RawListener, path: Path, reading: Reading): Promise<ResolvedListener> {
  const { binds, tls, prefix, proxy_protocol, ...rest } = raw
  for (const [index, resource] of raw.resources.entries()) {
    for (const key of Object.keys(resource)) {
      const owner = OPTIONS[key]
      if (owner === undefined || owner === resource.name) continue
      reading.report.problem([...path, 'resources', index, key], `belongs to the resource \`${owner}\` only`)
    }
  }
  if (proxy_protocol) {
    reading.report.problem(
      [...path, 'proxy_protocol'],
      'is not possible: let the proxy send X-Forwarded-For and put its network into http.trusted_proxies',
    )
  }
  const tidyPrefix = prefix?.replace(/^\/*/, '/').replace(/\/+$/, '')
  return {
    ...rest,
    binds: binds.flatMap((bind, index) => resolveBind(bind, [...path, 'binds', index], reading) ?? []),
    ...(tidyPrefix ? { prefix: tidyPrefix } : {}),
    ...(tls === undefined ? {} : { tls: await resolveTls(tls, [...path, 'tls'], reading) }),
  }
}

function resolveBind(raw: RawBind, path: Path, { report }: Reading): Bind | undefined {
  if (raw.fd !== undefined || raw.kind !== undefined) {
    report.problem(
      path,
      'sockets handed over by systemd (`fd`) are not possible: use `host` and `port`, or `socket`',
    )
    return undefined
  }
  const shapes = [raw.port ?? raw.host, raw.address, raw.socket].filter((shape) => shape !== undefined)
  if (shapes.length !== 1) {
    report.problem(path, 'needs exactly one of `port` (with or without `host`), `address` or `socket`')
    return undefined
  }
  if (raw.mode !== undefined && raw.socket === undefined) {
    report.problem([...path, 'mode'], 'belongs to a `socket` only')
  }
  if (raw.socket !== undefined) {
    return { socket: raw.socket, ...(raw.mode === undefined ? {} : { mode: Number.parseInt(raw.mode, 8) }) }
  }
  if (raw.address !== undefined) {
    const match = /^(?:\[([0-9a-fA-F:.]+)\]|([\d.]+)):(\d{1,5})$/.exec(raw.address)
    const host = match?.[1] ?? match?.[2]
    const port = Number(match?.[3])
    if (host !== undefined && parseNetwork(host) !== undefined && port <= 65535) return { host, port }
    report.problem(
      [...path, 'address'],
      'must be an address and a port, like `127.0.0.1:8080` or `[::1]:8080`',
    )
    return undefined
  }
  if (raw.port === undefined) {
    report.problem([...path, 'port'], 'is missing')
    return undefined
  }
  return { ...present({ host: raw.host }), port: raw.port }
}

type Tls = NonNullable<ResolvedListener['tls']>

/** A certificate, its key and its password, read from where they are. */
export async function resolveTls(
  raw: NonNullable<RawListener['tls']>,
  path: Path,
  reading: Reading,
): Promise<Tls> {
  const { report } = reading
  const certificate = await secretText(reading, raw, 'certificate', path)
  const key = await secretBytes(reading, raw, 'key', path)
  const password = await secretText(reading, raw, 'password', path)
  if (raw.certificate === undefined && raw.certificate_file === undefined) {
    report.problem(path, 'needs `certificate` or `certificate_file`')
  }
  if (raw.key === undefined && raw.key_file === undefined) report.problem(path, 'needs `key` or `key_file`')
  if (certificate !== undefined && !certificate.includes('-----BEGIN CERTIFICATE-----')) {
    report.problem([...path, 'certificate'], 'holds no certificate in PEM form')
  }
  const pem = key === undefined ? '' : new TextDecoder().decode(key)
  if (raw.key !== undefined && !pem.includes('-----BEGIN ')) {
    report.problem([...path, 'key'], 'must be a private key in PEM form')
  }
  if (password !== undefined && pem.includes('-----BEGIN ') && !pem.includes('ENCRYPTED')) {
    report.problem([...path, 'password'], 'is given, but the key is not encrypted: remove the password')
  }
  return {
    certificate: certificate ?? '',
    key: key ?? new Uint8Array(),
    ...present({ password }),
    source: raw,
  }
}
