// Keeps an eye on what a page complains about.

// What a browser writes when the server is down on purpose.
const outage = /ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_SOCKET_NOT_CONNECTED|Error in connection establishment|WebSocket is closed before/;

/** Watch collects errors of pages, and every text that a page received over its sockets. */
export class Watch {
  complaints = [];
  received = new Map();
  down = false;

  /** follow listens to a page from its first request on. */
  async follow(page, name) {
    this.received.set(name, []);
    page.on("console", (m) => {
      if (m.type() !== "error" && m.type() !== "warning") return;
      if (this.down && outage.test(m.text())) return;
      this.complaints.push(`${name}: ${m.type()}: ${m.text()} (${m.location().url})`);
    });
    page.on("pageerror", (e) => this.complaints.push(`${name}: ${e.stack ?? e.message}`));
    page.on("websocket", (ws) => ws.on("framereceived", ({ payload }) => this.received.get(name).push(String(payload))));
    page.on("response", (r) => {
      if (r.url().includes("/v1/widget/")) r.text().then((t) => this.received.get(name).push(t), () => undefined);
    });
    await page.exposeFunction("reportViolation", (text) => this.complaints.push(`${name}: policy violation: ${text}`));
    await page.addInitScript(() => {
      addEventListener("securitypolicyviolation", (e) => window.reportViolation?.(`${e.violatedDirective} ${e.blockedURI} ${e.sourceFile}:${e.lineNumber}`));
    });
  }

  /** heard reports whether a page received a text. */
  heard(name, text) {
    return this.received.get(name).some((frame) => frame.includes(text) || frame.includes(JSON.stringify(text).slice(1, -1)));
  }
}
