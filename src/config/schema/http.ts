import { type Static, Type } from '@sinclair/typebox'
import { bool, fields, freeForm, list, maybeOneOf, needOneOf, section, text, url } from './parts.ts'

/** RFC 1918, RFC 4193 and loopback. MAS trusts 10.0.0.0/10 only, against its own documentation. */
const TRUSTED_PROXIES = [
  '192.168.0.0/16',
  '172.16.0.0/12',
  '10.0.0.0/8',
  '127.0.0.0/8',
  'fd00::/8',
  '::1/128',
]

export const RESOURCE_NAMES = [
  'health',
  'prometheus',
  'discovery',
  'human',
  'graphql',
  'oauth',
  'compat',
  'assets',
  'adminapi',
  'connection-info',
  'well-known',
] as const

// One flat object and not a union by name: a typo then gets an error about its key and not about a union.
const resource = fields({
  name: needOneOf([...RESOURCE_NAMES], 'What is served.'),
  playground: Type.Optional(Type.Boolean({ description: '`graphql` only. Not used.' })),
  undocumented_oauth2_access: Type.Optional(Type.Boolean({ description: '`graphql` only. Not used.' })),
  path: text('`assets` only. Not used: the static files are part of Latchkey.'),
  homeserver_base_url: url(
    '`well-known` only. The address of the homeserver that clients are sent to. ' +
      'Default: `matrix.endpoint`.',
  ),
  extra: Type.Optional(
    freeForm(
      '`well-known` only. Merged into `/.well-known/matrix/client`, for example ' +
        '`org.matrix.msc4143.rtc_foci`.',
    ),
  ),
})

const bind = fields({
  host: text(
    'A host name or an address to listen on. Without it, with `port`: every address of the machine.',
  ),
  port: Type.Optional(Type.Integer({ minimum: 0, maximum: 65535, description: 'The TCP port.' })),
  address: text('Instead of `host` and `port`: both in one, `127.0.0.1:8080` or `[::1]:8080`.'),
  socket: text('Instead of TCP: the path of a Unix socket.'),
  mode: Type.Optional(
    Type.String({
      pattern: '^0?[0-7]{3}$',
      hint: 'permissions as an octal number in quotes, for example "660"',
      description: 'The permissions of the socket, in quotes: `"660"`.',
    }),
  ),
  fd: Type.Optional(
    Type.Integer({ minimum: 0, description: 'A socket passed in by systemd. Not possible here: an error.' }),
  ),
  kind: maybeOneOf(['tcp', 'unix'], 'The kind of the socket in `fd`.'),
})

const tls = fields({
  certificate: text('The certificate chain (PEM).'),
  certificate_file: text('The same, from a file.'),
  key: text('The private key (PEM).'),
  key_file: text('The same, from a file (PEM or DER).'),
  password: text('The password of an encrypted key.'),
  password_file: text('The same, from a file.'),
})

const listener = fields({
  name: text('A label for metrics and logs.'),
  resources: Type.Array(resource, { minItems: 1, description: 'What this listener serves.' }),
  binds: Type.Array(bind, { minItems: 1, description: 'Where it listens.' }),
  prefix: text('Serve everything below this path.'),
  proxy_protocol: bool(false, 'HAProxy PROXY protocol. Not possible here: `true` is an error.'),
  tls: Type.Optional({ ...tls, description: 'Serve HTTPS.' }),
})

/** Where MAS listens when nothing is said; also used when `http` exists without `listeners`. */
const DEFAULT_LISTENERS: Static<typeof listener>[] = [
  {
    name: 'web',
    resources: (['discovery', 'human', 'oauth', 'compat', 'graphql', 'assets'] as const).map((name) => ({
      name,
    })),
    binds: [{ address: '[::]:8080' }],
    proxy_protocol: false,
  },
  {
    name: 'internal',
    resources: [{ name: 'health' }],
    binds: [{ host: 'localhost', port: 8081 }],
    proxy_protocol: false,
  },
]

/** `http`: addresses and listeners. */
export const http = section(
  {
    public_base: Type.String({
      url: 'base',
      default: 'http://localhost:8080/',
      description: 'The address that people and apps use. It ends with `/`.',
    }),
    issuer: url('The OpenID Connect issuer. Default: `public_base`.', 'base'),
    trusted_proxies: list(
      Type.String(),
      TRUSTED_PROXIES,
      'Networks whose `X-Forwarded-For` or `Forwarded` is believed.',
    ),
    drain_delay: Type.Integer({
      minimum: 0,
      maximum: 300,
      default: 0,
      description:
        'Seconds that a server goes on answering after it was told to stop, while `/ready` says 503: ' +
        'time for a load balancer to send requests elsewhere.',
    }),
    listeners: list(
      listener,
      DEFAULT_LISTENERS,
      'What is served where. Default: `web` on port 8080 of every address, and `internal` on localhost:8081.',
    ),
  },
  'Addresses and listeners.',
)
