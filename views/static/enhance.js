// Makes the pages more comfortable. Every page works without it; all texts come from the page, in its language.

/**
 * A form that was sent is not sent again by a second click. Going back makes it usable again, and so does time: the
 * person may have stopped loading, or the answer may never come.
 */
for (const form of document.querySelectorAll('form[data-once]')) {
  const release = () => {
    delete form.dataset.sent
    for (const button of form.querySelectorAll('[aria-disabled]')) button.removeAttribute('aria-disabled')
  }
  form.addEventListener('submit', (event) => {
    if (form.dataset.sent !== undefined) return event.preventDefault()
    form.dataset.sent = ''
    event.submitter?.setAttribute('aria-disabled', 'true')
    setTimeout(release, 8000)
  })
  addEventListener('pageshow', release)
}

/** Nobody chose a time zone yet: the one of this browser is offered. It is kept when the form is sent. */
const zones = document.querySelector('select[data-zones]')
if (zones?.value === '') {
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions()
  const own = [...zones.options].find((option) => option.text === timeZone)
  if (own) own.selected = true
}

document.querySelector('form[data-auto-submit]')?.submit()

/** What came of a form is what is read first: what is wrong with it, or that it is done. */
document.querySelector('[data-summary]')?.focus()
for (const link of document.querySelectorAll('[data-summary] a')) {
  link.addEventListener('click', (event) => {
    event.preventDefault()
    document.getElementById(link.hash.slice(1))?.focus()
  })
}

for (const code of document.querySelectorAll('[data-copy]')) {
  if (!navigator.clipboard) break
  const button = document.createElement('button')
  button.type = 'button'
  button.className = 'copy-button'
  button.textContent = code.dataset.copy
  button.addEventListener('click', async () => {
    await navigator.clipboard.writeText(code.textContent)
    button.textContent = code.dataset.copied
  })
  code.after(button)
}
