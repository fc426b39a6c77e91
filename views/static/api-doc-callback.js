// Hands the answer of the sign-in to the page that asked. Not through `opener`: pages of other isolation stand in
// between, and a browser forgets it there.
const channel = new BroadcastChannel('latchkey-api-doc')
channel.postMessage(location.search)
channel.close()
window.close()
