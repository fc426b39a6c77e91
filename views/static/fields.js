// Makes fields more comfortable on pages with a name or a password to type; enhance.js has what every page needs.
// Pages work without it; all texts come from the page, in its language.

/** A button that moves while it is pressed is not clicked: what would move it waits for the release. */
let released = Promise.resolve()
addEventListener('pointerdown', () => {
  released = new Promise((resolve) => {
    for (const end of ['pointerup', 'pointercancel'])
      addEventListener(end, () => setTimeout(resolve, 100), { once: true })
  })
})

/** Buttons that show and hide a password. Made here, so that without script nobody sees a button that does nothing. */
for (const box of document.querySelectorAll('[data-reveal]')) {
  const input = box.querySelector('input')
  const button = document.createElement('button')
  button.type = 'button'
  button.className = 'reveal-button'
  button.setAttribute('aria-controls', input.id)
  const label = document.querySelector(`label[for="${input.id}"]`)?.textContent ?? ''
  const show = (visible) => {
    input.type = visible ? 'text' : 'password'
    button.textContent = visible ? box.dataset.hide : box.dataset.show
    button.setAttribute('aria-label', `${button.textContent} (${label})`)
  }
  button.addEventListener('click', () => show(input.type === 'password'))
  // Sent as a password field, so that no browser keeps it in its list of typed texts.
  input.form?.addEventListener('submit', () => show(false))
  show(false)
  box.append(button)
  box.dataset.ready = ''
}

/** What the server found wrong with a username or password was about the old entry: the first key takes it back. */
for (const input of document.querySelectorAll(
  'input[type="password"][aria-invalid], #username[aria-invalid]',
)) {
  const clear = () => {
    input.removeAttribute('aria-invalid')
    document.getElementById(`${input.id}-error`)?.remove()
    describe(input, 'error', false)
    showHint(input, true)
  }
  input.addEventListener('input', clear, { once: true })
}

/** Shows or hides the hint of a field; a hidden one would still be read out, so it is taken out of the description. */
function showHint(input, shown) {
  const hint = document.getElementById(`${input.id}-hint`)
  if (!hint) return
  hint.hidden = !shown
  describe(input, 'hint', shown)
}

/** Puts the element `<id of the input>-<part>` into the description of the input, or takes it out. */
function describe(input, part, present) {
  const id = `${input.id}-${part}`
  const ids = (input.getAttribute('aria-describedby') ?? '')
    .split(' ')
    .filter((other) => other && other !== id)
  if (present) ids.push(id)
  if (ids.length === 0) input.removeAttribute('aria-describedby')
  else input.setAttribute('aria-describedby', ids.join(' '))
}

// The widgets of others are shown light or dark by the page, which alone knows; their scripts run after this one.
for (const widget of document.querySelectorAll('[data-scheme]')) {
  widget.dataset.theme = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'
  // The smallest phones are narrower than the usual form of a widget.
  if (document.documentElement.clientWidth < 360) widget.dataset.size = 'compact'
}

const proof = document.querySelector('[data-proof]')
if (proof && globalThis.Worker && globalThis.crypto?.subtle) prove(proof)

/**
 * Calculates while the person fills in the form, in the background. A form that is sent before waits for it. Where the
 * calculation fails the form goes without: the server then says what else can be done.
 */
function prove(input) {
  const { form } = input
  const state = form.querySelector('[data-proof-state]')
  const challenge = JSON.parse(atob(input.value))
  let working = false
  let over = false
  let waiting
  const finish = (solution) => {
    over = true
    if (solution) form.elements.altcha.value = btoa(JSON.stringify({ challenge, solution }))
    released.then(() => {
      state.textContent = solution ? state.dataset.done : ''
      state.classList.toggle('captcha-done', Boolean(solution))
    })
    if (waiting !== undefined) form.requestSubmit(waiting)
  }
  const begin = () => {
    if (working) return
    working = true
    state.textContent = state.dataset.working
    const worker = new Worker(input.dataset.proof)
    worker.addEventListener('message', ({ data }) => {
      worker.terminate()
      finish(data)
    })
    worker.addEventListener('error', () => finish())
    worker.postMessage(challenge.parameters)
  }
  form.addEventListener('input', begin, { once: true })
  // Before `data-once` counts it as sent.
  const hold = (event) => {
    if (over) return
    event.preventDefault()
    event.stopImmediatePropagation()
    waiting = event.submitter
    begin()
  }
  form.addEventListener('submit', hold, { capture: true })
}

const nameField = document.querySelector('[data-username-check]')
if (nameField) checkUsername(nameField)

/** Asks the server about the name a moment after the last key. */
function checkUsername(field) {
  const input = field.querySelector('input')
  const status = field.querySelector('[data-status]')
  const preview = field.querySelector('[data-preview]')
  let timer
  let pending
  let asked = input.value
  const suggestions = field.querySelector('[data-suggestions]')
  const names = suggestions.querySelector('[data-names]')
  const suggest = (list) => {
    suggestions.hidden = list.length === 0
    names.replaceChildren(
      ...list.map((name) => {
        const button = document.createElement('button')
        button.type = 'button'
        button.className = 'link-button mxid'
        button.dir = 'ltr'
        button.textContent = name
        button.addEventListener('click', () => {
          input.value = name
          input.focus()
          input.dispatchEvent(new Event('input', { bubbles: true }))
        })
        return button
      }),
    )
  }
  suggest([...names.children].map((name) => name.textContent))
  const say = (kind, message) => {
    status.className = `status status-${kind}`
    status.textContent = message
    // “People find you as” is not true of a name that cannot be had.
    showHint(input, ['', 'available', 'unavailable'].includes(kind))
  }
  input.addEventListener('input', () => {
    const start = input.selectionStart
    input.value = input.value.toLowerCase()
    input.setSelectionRange(start, start)
    preview.textContent = input.value || preview.dataset.placeholder
    clearTimeout(timer)
    pending?.abort()
    suggest([])
    if (input.value === '') return say('', '')
    timer = setTimeout(ask, 450)
  })
  async function ask() {
    asked = input.value
    pending = new AbortController()
    try {
      const url = `${field.dataset.usernameCheck}?username=${encodeURIComponent(asked)}`
      // The answer comes in the language of this page, which may not be the browser's own.
      const headers = { accept: 'application/json', 'accept-language': document.documentElement.lang }
      const response = await fetch(url, { signal: pending.signal, headers })
      const answer = response.ok && (await response.json())
      await released
      if (input.value !== asked) return
      if (!answer) return say('', '')
      say(/^[a-z_]+$/.test(answer.status) ? answer.status : '', String(answer.message ?? ''))
      suggest(Array.isArray(answer.suggestions) ? answer.suggestions.map(String) : [])
    } catch (error) {
      if (error.name === 'AbortError') return
      await released
      if (input.value === asked) say('unavailable', field.dataset.failed)
    }
  }
}

const strengthField = document.querySelector('[data-strength]:not([data-strength=""])')
if (strengthField) measureStrength(strengthField)

/** The meter: its estimator is large and is fetched when the password field is first used. */
function measureStrength(field) {
  const input = field.querySelector('input')
  const meter = field.querySelector('meter')
  const box = field.querySelector('[data-meter]')
  const text = field.querySelector('[data-meter-text]')
  const advice = field.querySelector('[data-advice]')
  const texts = Object.fromEntries(field.dataset.texts.split('\n').map((line) => line.split(/=(.*)/, 2)))
  const minimum = Number(field.dataset.minimum)
  let estimate
  let timer
  const load = async () => {
    input.removeEventListener('focus', load)
    try {
      ;({ estimate } = await import(field.dataset.strength))
      show()
    } catch {
      // No meter then; the server checks all the same.
    }
  }
  const show = async () => {
    if (!estimate) return
    await released
    box.hidden = input.value === ''
    if (input.value === '') {
      advice.hidden = true
      return
    }
    const username = document.getElementById('username')?.value ?? ''
    const { score, warning, suggestions } = estimate(
      input.value,
      [username, field.dataset.inputs].filter(Boolean),
    )
    meter.value = Math.max(score, 0.2)
    text.textContent = texts[`score.${score}`]
    const lines = [`warning.${warning}`, ...suggestions.map((key) => `suggestion.${key}`)]
      .map((key) => texts[key])
      .filter(Boolean)
    const shown = score < Math.max(minimum, 3) ? lines.slice(0, 3) : []
    advice.hidden = shown.length === 0
    advice.replaceChildren(
      ...shown.map((line) => {
        const item = document.createElement('li')
        item.textContent = line
        return item
      }),
    )
  }
  input.addEventListener('focus', load)
  if (document.activeElement === input) load()
  input.addEventListener('input', () => {
    clearTimeout(timer)
    timer = setTimeout(show, 200)
  })
}
