/* A browser starts no worker for a page that was opened from disk. The search then runs in a hidden frame instead, which
   speaks and listens as a worker does. */
"use strict"

class IFrameWorker extends EventTarget {
  constructor(address) {
    super()
    this.waiting = []
    this.frame = document.createElement("iframe")
    this.frame.hidden = true
    this.frame.setAttribute("aria-hidden", "true")
    this.frame.srcdoc = "<!doctype html><body></body>"
    this.frame.addEventListener("load", () => this.start(String(new URL(address, location.href))), { once: true })
    document.body.append(this.frame)
  }

  start(address) {
    const inside = this.frame.contentWindow
    inside.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }))
    inside.importScripts = (...addresses) =>
      addresses.reduce((before, next) => before.then(() => this.load(next)), Promise.resolve())
    this.load(address).then(() => {
      const waiting = this.waiting
      this.waiting = null
      waiting.forEach(data => this.postMessage(data))
    })
  }

  load(address) {
    return new Promise((resolve, reject) => {
      const script = this.frame.contentDocument.createElement("script")
      script.src = address
      script.addEventListener("load", resolve)
      script.addEventListener("error", reject)
      this.frame.contentDocument.body.append(script)
    })
  }

  postMessage(data) {
    if (this.waiting) this.waiting.push(data)
    else this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data }))
  }

  terminate() {
    this.frame.remove()
  }
}

if (location.protocol === "file:") {
  window.IFrameWorker = IFrameWorker
  window.Worker = IFrameWorker
}
