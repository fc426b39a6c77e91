// Tells the app that opened this page, or shows it, that it can go on (Matrix specification, fallback of user-interactive
// authentication). The word holds nothing, so that any origin may hear it.
if (typeof window.onAuthDone === 'function') window.onAuthDone()
else if (window.opener) window.opener.postMessage('authDone', '*')
