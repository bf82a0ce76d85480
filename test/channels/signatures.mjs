// Has the providers' own packages check what the tests sign in their name. The
// arguments come in fours: the package, a secret, a body in base64, a signature.
import { createRequire } from "node:module";
import { validateSignature } from "@line/bot-sdk";

const require = createRequire(import.meta.url);
const { verifySlackRequest } = require("@slack/bolt/dist/receivers/verify-request.js");

const checks = {
  line: (secret, body, signature) => validateSignature(body, secret, signature),
  slack(secret, body, signature) {
    const [timestamp, hash] = signature.split(" ");
    try {
      verifySlackRequest({
        signingSecret: secret,
        body,
        headers: { "x-slack-request-timestamp": Number(timestamp), "x-slack-signature": hash },
        nowMilliseconds: Number(timestamp) * 1000,
      });
      return true;
    } catch {
      return false;
    }
  },
};

const args = process.argv.slice(2);
for (let i = 0; i < args.length; i += 4) {
  const [name, secret, body, signature] = args.slice(i, i + 4);
  console.log(checks[name](secret, Buffer.from(body, "base64").toString(), signature) ? "right" : "wrong");
}
