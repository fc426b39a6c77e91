// node:fs: the page's own files come from a package on disk.
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { Deps } from '../deps.ts'
import { adminCors } from '../http/cors.ts'
import { NotFound } from '../http/errors.ts'
import { pageHeaders } from '../http/headers.ts'
import { publicJson } from '../http/reply.ts'
import type { Route } from '../http/route.ts'
import { MAS_ADMIN } from '../lib/scope.ts'
import { DOCS_CLIENT } from '../oauth/own-clients.ts'
import { openApiDocument } from './openapi.ts'
import { OPERATIONS } from './operations.ts'

/** Seconds that a reader may keep the document and the files of its page. */
const MAX_AGE = 300

const SCRIPT = 'text/javascript; charset=utf-8'
const STYLE = 'text/css; charset=utf-8'
/** What the page loads from the package, and nothing else of it. */
const PACKAGE_FILES: Record<string, string> = {
  'swagger-ui.css': STYLE,
  'swagger-ui-bundle.js': SCRIPT,
}
const OWN_FILES = ['api-doc.css', 'api-doc.js', 'api-doc-callback.js', 'favicon.svg']

/**
 * GET /api/spec.json, the OpenAPI document, and GET /api/doc/, a page that shows it and signs in through Latchkey
 * itself. For anybody: they tell what this server can do, not what it holds. All files are ours (decision 29).
 */
export function documentRoutes(deps: Deps): Route[] {
  let document: Promise<object> | undefined
  const page = (body: string) => new Response(body, { headers: withPictures(pageHeaders(deps.urls)) })
  return [
    {
      method: 'GET',
      path: '/api/spec.json',
      cors: adminCors,
      async handle() {
        document ??= openApiDocument(deps, OPERATIONS)
        return publicJson(await document, MAX_AGE)
      },
    },
    { method: 'GET', path: '/api/doc/', handle: () => page(documentPage(deps)) },
    { method: 'GET', path: '/api/doc/oauth2-callback', handle: () => page(CALLBACK_PAGE) },
    { method: 'GET', path: '/api/doc/{file}', handle: (_, { file = '' }) => fileOf(deps, file) },
  ]
}

/** The package draws its arrows with pictures inside its styles. */
function withPictures(headers: Headers): Headers {
  const policy = headers.get('content-security-policy') ?? ''
  headers.set('content-security-policy', policy.replace("img-src 'self'", "img-src 'self' data:"))
  return headers
}

async function fileOf(deps: Pick<Deps, 'assets'>, name: string): Promise<Response> {
  const headers = { 'cache-control': `public, max-age=${MAX_AGE}` }
  const own = OWN_FILES.includes(name) ? deps.assets.get(name) : undefined
  if (own) return new Response(own.bytes, { headers: { ...headers, 'content-type': own.contentType } })
  const type = Object.hasOwn(PACKAGE_FILES, name) ? PACKAGE_FILES[name] : undefined
  if (type === undefined) throw new NotFound()
  const bytes = await readFile(fileURLToPath(import.meta.resolve(`swagger-ui-dist/${name}`)))
  return new Response(bytes, { headers: { ...headers, 'content-type': type } })
}

const head = (title: string) => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<link rel="icon" href="favicon.svg" type="image/svg+xml">
<title>${title}</title>`

/** Paths are relative, so that the page works below every prefix. */
const documentPage = ({ urls }: Pick<Deps, 'urls'>) => `${head('Latchkey admin API')}
<link rel="stylesheet" href="swagger-ui.css">
<link rel="stylesheet" href="api-doc.css">
</head>
<body data-spec="../spec.json" data-client="${DOCS_CLIENT}" data-scope="${MAS_ADMIN}" data-callback="${urls.absolute('/api/doc/oauth2-callback').replaceAll('&', '&amp;').replaceAll('"', '&quot;')}">
<main id="api"><noscript>This page needs JavaScript. The document itself is at <a href="../spec.json">spec.json</a>.</noscript></main>
<script src="swagger-ui-bundle.js"></script>
<script type="module" src="api-doc.js"></script>
</body>
</html>
`

/** Where the window for signing in comes back to: its script hands the answer to the page, and closes it. */
const CALLBACK_PAGE = `${head('Signing in')}
</head>
<body>
<p>Signing in. This window closes by itself.</p>
<script type="module" src="api-doc-callback.js"></script>
</body>
</html>
`
