// The page of the admin API's document. What differs between deployments stands in data attributes: the page has no
// script of its own under its content security policy.
const { spec, client, callback, scope } = document.body.dataset
const { SwaggerUIBundle } = window

const ui = SwaggerUIBundle({
  url: spec,
  dom_id: '#api',
  deepLinking: true,
  displayOperationId: true,
  displayRequestDuration: true,
  docExpansion: 'list',
  filter: true,
  oauth2RedirectUrl: new URL(callback, location.href).href,
  presets: [SwaggerUIBundle.presets.apis],
  validatorUrl: null,
})
ui.initOAuth({ clientId: client, scopes: scope, usePkceWithAuthorizationCodeGrant: true })

// The answer of the window in which the admin signed in (api-doc-callback.js). The package keeps what it asked in
// `swaggerUIRedirectOauth2`.
new BroadcastChannel('latchkey-api-doc').addEventListener('message', ({ data }) => {
  const asked = window.swaggerUIRedirectOauth2
  const answer = new URLSearchParams(data)
  if (!asked || answer.get('state') !== asked.state) return
  const code = answer.get('code')
  if (code === null) {
    const message = answer.get('error_description') ?? answer.get('error') ?? 'No answer came back.'
    asked.errCb({ authId: asked.auth.name, source: 'auth', level: 'error', message })
    return
  }
  asked.auth.code = code
  asked.callback({ auth: asked.auth, redirectUrl: asked.redirectUrl })
})
