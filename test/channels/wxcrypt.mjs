// Has the ciphers that others published for WeChat and WeCom read what they are
// given, and encrypt and sign the same text again: one line a cipher and text.
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const WXBizMsgCrypt = require("wechat-crypto");
const wecom = require("@wecom/crypto");

const [key, receiver, token, ...encrypted] = process.argv.slice(2);
const [timestamp, nonce] = ["1409659589", "263014780"];
const wechat = new WXBizMsgCrypt(token, key, receiver);

function say(name, message, id, again, signature) {
  if (id !== receiver) throw new Error(`${name} finds the receiver ${id}`);
  console.log([name, Buffer.from(message).toString("base64"), again, signature].join(" "));
}

for (const text of encrypted) {
  const one = wechat.decrypt(text);
  const first = wechat.encrypt(one.message);
  say("wechat-crypto", one.message, one.id, first, wechat.getSignature(timestamp, nonce, first));
  const two = wecom.decrypt(key, text);
  const second = wecom.encrypt(key, two.message, two.id);
  say("@wecom/crypto", two.message, two.id, second, wecom.getSignature(token, timestamp, nonce, second));
}
