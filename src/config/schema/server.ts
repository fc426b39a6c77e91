import { Type } from '@sinclair/typebox'
import {
  fields,
  int,
  list,
  maybeOneOf,
  needOneOf,
  oneOf,
  section,
  share,
  text,
  textOr,
  url,
} from './parts.ts'

const seconds = (value: number, description: string) =>
  Type.Union([Type.Integer({ minimum: 0 }), Type.Null()], {
    default: value,
    hint: 'a number of seconds, or null for no limit',
    description,
  })

/** `database`: absent means the embedded PostgreSQL. */
export const database = Type.Optional(
  fields(
    {
      uri: text('`postgresql://…`. Not together with the seven keys that follow.'),
      host: text('Host name or address of the server.'),
      port: Type.Optional(Type.Integer({ minimum: 1, maximum: 65535, description: 'Port of the server.' })),
      socket: text('Directory of the Unix socket, instead of `host`.'),
      username: text('User name.'),
      password: text('Password.'),
      password_file: text('The same, from a file.'),
      database: text('Name of the database.'),
      ssl_mode: maybeOneOf(
        ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'],
        'Whether the connection is encrypted and whether the certificate is checked.',
      ),
      ssl_ca: text('Certificate authority (PEM).'),
      ssl_ca_file: text('The same, from a file.'),
      ssl_certificate: text('Client certificate (PEM). Needs `ssl_key`.'),
      ssl_certificate_file: text('The same, from a file.'),
      ssl_key: text('Key of the client certificate (PEM).'),
      ssl_key_file: text('The same, from a file.'),
      max_connections: int(10, 1, 10_000, 'Size of the connection pool.'),
      min_connections: int(0, 0, 10_000, 'Connections kept open while idle.'),
      connect_timeout: int(30, 1, 86_400, 'Seconds to wait for a connection.'),
      idle_timeout: seconds(600, 'Seconds after which an idle connection is closed; `null`: never.'),
      max_lifetime: seconds(1800, 'Seconds after which a connection is replaced; `null`: never.'),
      direct_uri: text('A `postgresql://…` that bypasses the pooler, for migrations and LISTEN.'),
      pooler: oneOf(
        ['none', 'transaction'],
        'none',
        '`transaction` when PgBouncer or another pooler in transaction mode stands in between.',
      ),
    },
    'The PostgreSQL server. Without this section Latchkey runs its own.',
  ),
)

/** `telemetry`: traces, metrics and error reports. */
export const telemetry = section(
  {
    tracing: section(
      {
        exporter: oneOf(['none', 'stdout', 'otlp'], 'none', 'Where traces go.'),
        endpoint: url('OTLP endpoint (HTTP, protobuf).'),
        propagators: list(
          needOneOf(['tracecontext', 'baggage', 'jaeger'], 'The name of a header format.'),
          [],
          'Trace headers that are read: `tracecontext`, `baggage`, `jaeger`.',
        ),
        sample_rate: share(1, 'Share of requests that are traced.'),
      },
      'Traces.',
    ),
    metrics: section(
      {
        exporter: oneOf(['none', 'stdout', 'otlp', 'prometheus'], 'none', 'Where metrics go.'),
        endpoint: url('OTLP endpoint (HTTP, protobuf).'),
      },
      'Metrics.',
    ),
    sentry: section(
      {
        dsn: text('Where errors are reported.'),
        environment: text('Name of the environment in the reports.'),
        sample_rate: share(1, 'Share of errors that are reported.'),
        traces_sample_rate: share(0, 'Share of requests whose traces are reported.'),
      },
      'Error reports.',
    ),
    request_log: oneOf(
      ['usual', 'all', 'none'],
      'usual',
      'Which requests have a line in the log. `usual`: those of people and apps; what programs ask all the time (introspection, keys, files, probes) only when it fails.',
    ),
  },
  'Traces, metrics and error reports.',
)

/** `templates`: where the operator's own pages and texts are. */
export const templates = section(
  {
    overlay_path: text('Directory with templates that replace ours, one by one.'),
    translations_overlay_path: text('Directory with messages that replace ours, one by one.'),
    path: text('Directory of a full set of MAS templates. Not used.'),
    assets_manifest: text('Manifest of the built scripts of MAS. Not used.'),
    translations_path: text('Directory of the translations of MAS. Not used.'),
  },
  'Own pages and texts.',
)

/** `branding`: name, look and legal links. */
export const branding = section(
  {
    service_name: text('Name of the service on pages and in mails.'),
    logo_uri: url('Address of a logo.'),
    favicon_uri: url('Address of the small picture that browsers show in their tabs.'),
    contact_uri: url('Where people get help: a page, or `mailto:help@example.org`.', 'any'),
    links: list(
      fields({
        name: Type.String({ minLength: 1, maxLength: 100, description: 'What it is called.' }),
        uri: Type.String({ url: 'http', description: 'Where it leads.' }),
      }),
      [],
      'More links for the footer of pages and mails.',
    ),
    colours: section(
      {
        accent: maybeOneOf(
          ['pine', 'ink', 'teal', 'violet', 'rose', 'amber'],
          'Colour of buttons, links and the plate. Each is readable in light and dark; others need an own `theme.css`.',
        ),
      },
      'Colours.',
    ),
    policy_uri: url('Link to the privacy policy.'),
    tos_uri: url(
      'Link to the terms. People must accept them when they register, and others when they sign in next.',
    ),
    tos_version: text('Version of the terms. Another one is accepted anew; without it, another link is.'),
    imprint: text('Text in the footer.'),
  },
  'Name, look and legal links.',
)

/** `geoip`: where network addresses are. */
export const geoip = section(
  {
    path: text(
      'An MMDB file (GeoLite2, DB-IP and the like; city or country). Sessions and notices tell the place then.',
    ),
  },
  'Where network addresses are. Nobody else is asked.',
)

/** `email`: how mail is sent. */
export const email = section(
  {
    from: textOr('"Authentication Service" <root@localhost>', 'Sender.'),
    reply_to: textOr('"Authentication Service" <root@localhost>', 'Where answers go.'),
    transport: oneOf(['blackhole', 'smtp', 'sendmail'], 'blackhole', '`blackhole` sends nothing.'),
    mode: maybeOneOf(['plain', 'starttls', 'tls'], '`smtp` only, required there: encryption.'),
    hostname: text('`smtp` only, required there: the mail server.'),
    port: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 65535,
        description: '`smtp` only: its port. Default: 25, 587 or 465 by `mode`.',
      }),
    ),
    username: text('`smtp` only. Needs a password.'),
    password: text('`smtp` only. Needs a user name.'),
    password_file: text('The same, from a file.'),
    command: text('`sendmail` only: the program. Default: `sendmail`.'),
  },
  'How mail is sent.',
)

/** `secrets`: the encryption secret and the signing keys. */
export const secrets = section(
  {
    encryption: Type.Optional(
      Type.String({
        pattern: '^[0-9a-fA-F]{64}$',
        hint: '32 random bytes written as 64 hexadecimal digits',
        description:
          '64 hexadecimal digits. Required, here or as a file. Keep it: it protects stored secrets.',
      }),
    ),
    encryption_file: text('The same, from a file.'),
    previous_encryption: list(
      Type.String({
        pattern: '^[0-9a-fA-F]{64}$',
        hint: '32 random bytes written as 64 hexadecimal digits',
      }),
      [],
      'Earlier values of `encryption`: what was stored under them still opens, new values use the current one.',
    ),
    keys: list(
      fields({
        kid: text('Id of the key in `keys.json`. Default: its RFC 7638 thumbprint.'),
        key: text('The private key (PEM).'),
        key_file: text('The same, from a file (PEM or DER).'),
        password: text('Password of an encrypted key.'),
        password_file: text('The same, from a file, byte for byte: no line break at its end.'),
      }),
      [],
      'Signing keys. Where two fit, the last one signs.',
    ),
    keys_dir: text('A directory of key files. They come before `keys`, in the order of their names.'),
  },
  'The encryption secret and the signing keys.',
)

/** `matrix`: the homeserver. */
export const matrix = section(
  {
    kind: oneOf(
      ['synapse', 'synapse_modern', 'synapse_legacy', 'synapse_read_only', 'standalone'],
      'synapse',
      '`synapse` for Synapse 1.136 or later, `synapse_legacy` for earlier ones, `synapse_read_only` to look and change nothing there, `standalone` for no homeserver yet.',
    ),
    homeserver: textOr(
      'localhost:8008',
      'The server name: what stands after the colon in `@alice:example.org`.',
    ),
    endpoint: Type.String({
      url: 'base',
      default: 'http://localhost:8008/',
      description: 'Where Latchkey reaches the homeserver. Not used by `standalone`.',
    }),
    secret: text('The secret shared with the homeserver. Required, here or as a file.'),
    secret_file: text('The same, from a file.'),
  },
  'The homeserver.',
)
