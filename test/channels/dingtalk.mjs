// Runs DingTalk's own stream client against an endpoint. It answers what is
// written to the robot, as its documentation has it.
import { DWClient, TOPIC_ROBOT } from "dingtalk-stream";

const client = new DWClient({ clientId: "ding1", clientSecret: "s" });
client.getEndpoint = async () => {
  client.dw_url = process.argv[2]; // instead of asking DingTalk
  return client;
};
client.registerCallbackListener(TOPIC_ROBOT, (message) => client.socketCallBackResponse(message.headers.messageId, null));
console.info = () => {};
await client.connect();
