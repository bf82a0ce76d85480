// Starts, kills and restarts the server under test: the real binary, or the
// stand-in when WALK_TARGET=fake.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";

const here = import.meta.dirname;
const startMs = 180_000; // the first start trains the packs

/** ownHost gives a loopback address whose ports nobody else is likely to take, where all of 127/8 is loopback. */
function ownHost() {
  const any = (least, most) => least + Math.floor(Math.random() * (most - least + 1));
  return process.platform === "linux" ? `127.${any(64, 191)}.${any(0, 255)}.${any(1, 254)}` : "127.0.0.1";
}

/** freePort finds a port of a host that nobody uses at the moment. */
async function freePort(host) {
  const probe = createServer().listen(0, host);
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  await once(probe, "close");
  return port;
}

/** Server is one node with one data folder, over as many processes as the walk kills. */
export class Server {
  static async make() {
    const s = new Server();
    s.fake = process.env.WALK_TARGET === "fake";
    s.folder = await mkdtemp(path.join(tmpdir(), "colloquy-walk-"));
    s.host = s.fake ? "127.0.0.1" : ownHost();
    s.port = await freePort(s.host);
    s.opsPort = await freePort(s.host);
    s.base = `http://${s.host}:${s.port}`;
    s.login = s.fake ? { email: "mei@example.com", password: "skylark-demo", name: "陈小美" } : { email: "demo@colloquy.example", password: "walk-through-the-pages", name: "小云 Demo" };
    s.log = "";
    return s;
  }

  /** start runs a process and waits until it serves pages. */
  async start() {
    const [command, ...args] = this.fake
      ? [process.execPath, path.join(here, "fake.mjs"), "--port", this.port, "--data", path.join(this.folder, "fake.json")]
      : [process.env.WALK_BIN ?? path.join(here, "../../bin/colloquy"), "serve", "--demo", "--data-dir", path.join(this.folder, "data"), "--listen", `${this.host}:${this.port}`, "--ops-listen", `${this.host}:${this.opsPort}`];
    this.process = spawn(command, args.map(String), { cwd: this.folder, env: { ...process.env, COLLOQUY_DEMO_PASSWORD: this.login.password }, stdio: ["ignore", "pipe", "pipe"] });
    const keep = (data) => (this.log = (this.log + data).slice(-20_000));
    this.process.stdout.on("data", keep);
    this.process.stderr.on("data", keep);
    for (const end = Date.now() + startMs; ; await new Promise((done) => setTimeout(done, 100))) {
      if (this.process.exitCode !== null) throw new Error(`the server ended with ${this.process.exitCode}:\n${this.log}`);
      if (Date.now() > end) throw new Error(`the server did not come up:\n${this.log}`);
      try {
        if ((await fetch(`${this.base}/demo`)).ok) return;
      } catch {
        // not yet
      }
    }
  }

  /** kill ends the process without a chance to say goodbye. */
  async kill() {
    if (this.process === undefined || this.process.exitCode !== null || this.process.signalCode !== null) return;
    this.process.kill("SIGKILL");
    await once(this.process, "exit");
  }

  /** remove ends everything and takes the data with it. */
  async remove() {
    await this.kill();
    await rm(this.folder, { recursive: true, force: true });
  }
}
