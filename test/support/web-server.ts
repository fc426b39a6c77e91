import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { selfSigned } from './certificate.ts'
import { reservePort } from './ports.ts'

/** A real web server on loopback, which serves some hosts on one port. */
export interface WebServer {
  port: number
  /** The certificate of who issued its own, in PEM, and a file with it. */
  ca: string
  caFile: string
  /** Sends a request to one of its hosts, as if its name led here; follows no redirect. */
  handle(request: Request): Promise<Response>
  stop(): Promise<void>
}

/** Web servers that the tests can start, if they are installed. */
export const WEB_SERVERS = { nginx: startNginx, caddy: startCaddy } as const
export type WebServerName = keyof typeof WEB_SERVERS

/** Whether it is installed. A skipped test says which package it lacks. */
export function isInstalled(name: WebServerName): boolean {
  if (Bun.which(name, { PATH: SEARCH })) return true
  console.warn(
    `SKIPPED: no ${name} on this machine; install it: apt-get install ${name === 'nginx' ? 'nginx-light' : name}`,
  )
  return false
}

/** Debian's nginx is not on everybody's path. */
const SEARCH = `${process.env.PATH ?? ''}:/usr/sbin`

/** nginx with a written configuration, unchanged but for the port and the folder of the certificates. */
async function startNginx(written: string, hosts: readonly string[]): Promise<WebServer> {
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-nginx-'))
  const port = await reservePort()
  const { cert, key } = await selfSigned(hosts, 60)
  for (const host of hosts) {
    await mkdir(join(folder, host))
    await Bun.write(join(folder, host, 'fullchain.pem'), cert)
    await Bun.write(join(folder, host, 'privkey.pem'), key)
  }
  const servers = (await readFile(written, 'utf8'))
    .replaceAll('listen 443 ', `listen 127.0.0.1:${port} `)
    .replaceAll(/^ *listen \[::\]:443 .*\n/gm, '')
    .replaceAll('/etc/letsencrypt/live/', `${folder}/`)
  await Bun.write(join(folder, 'servers.conf'), servers)
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `${kind}_temp_path ${folder}/${kind};`)
    .join('\n')
  const asRoot = process.getuid?.() === 0 ? 'user root;' : ''
  await Bun.write(
    join(folder, 'nginx.conf'),
    `${asRoot}\ndaemon off;\npid ${folder}/nginx.pid;\nerror_log stderr;\nworker_processes 1;\nevents {}\nhttp {\naccess_log off;\n${temporary}\ninclude ${folder}/servers.conf;\n}\n`,
  )
  await Bun.write(join(folder, 'ca.pem'), cert)
  const command = ['nginx', '-p', folder, '-e', 'stderr', '-c', join(folder, 'nginx.conf')]
  return run(command, { folder, port, caFile: join(folder, 'ca.pem') })
}

/** Caddy with a written configuration, unchanged: the options before it choose the port and its own authority. */
async function startCaddy(written: string): Promise<WebServer> {
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-caddy-'))
  const port = await reservePort()
  const plain = await reservePort()
  const options = [
    'admin off',
    'local_certs',
    'skip_install_trust',
    `https_port ${port}`,
    `http_port ${plain}`,
  ]
  options.push('auto_https disable_redirects', 'default_bind 127.0.0.1', `storage file_system ${folder}`)
  await Bun.write(
    join(folder, 'Caddyfile'),
    `{\n${options.map((line) => `\t${line}\n`).join('')}}\nimport ${written}\n`,
  )
  const command = ['caddy', 'run', '--adapter', 'caddyfile', '--config', join(folder, 'Caddyfile')]
  return run(command, { folder, port, caFile: join(folder, 'pki', 'authorities', 'local', 'root.crt') })
}

/** Runs it and waits until it takes connections; throws with what it said when it ends instead. */
async function run(
  [name = '', ...args]: string[],
  { folder, port, caFile }: { folder: string; port: number; caFile: string },
): Promise<WebServer> {
  const output = Bun.file(join(folder, 'output.log'))
  const child = Bun.spawn([Bun.which(name, { PATH: SEARCH }) ?? name, ...args], {
    cwd: folder,
    env: { PATH: SEARCH, HOME: folder },
    stdout: output,
    stderr: output,
  })
  const stop = async () => {
    child.kill('SIGTERM')
    await child.exited
    await rm(folder, { recursive: true, force: true })
  }
  for (let attempt = 0; ; attempt++) {
    const up = await fetch(`https://127.0.0.1:${port}/`, { tls: { rejectUnauthorized: false } }).then(
      () => true,
      (error: Error & { code?: string }) => error.code !== 'ConnectionRefused',
    )
    if (up && (await Bun.file(caFile).exists())) break
    if (child.exitCode !== null || attempt === 600) {
      const said = await output.text()
      await stop()
      throw new Error(`${name} did not start: ${said.slice(-3000)}`)
    }
    await Bun.sleep(100)
  }
  const ca = await readFile(caFile, 'utf8')
  return { port, ca, caFile, stop, handle: (request) => send(request, { port, ca }) }
}

async function send(request: Request, { port, ca }: { port: number; ca: string }): Promise<Response> {
  const url = new URL(request.url)
  const headers = new Headers(request.headers)
  headers.set('host', url.host)
  const body = request.method === 'GET' || request.method === 'HEAD' ? undefined : await request.arrayBuffer()
  return fetch(`https://127.0.0.1:${port}${url.pathname}${url.search}`, {
    method: request.method,
    headers,
    ...(body && { body }),
    redirect: 'manual',
    keepalive: false,
    tls: { serverName: url.hostname, ca },
  } as RequestInit)
}
