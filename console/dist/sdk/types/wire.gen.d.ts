export declare const protocolVersion = 1;
/** What a client sends. */
export type ClientFrame = ({
    t: "hello";
} & ClientHello) | ({
    t: "message.send";
} & ClientSend) | ({
    t: "note.add";
} & ClientNote) | ({
    t: "read";
} & ClientRead) | ({
    t: "delivered";
} & ClientDelivered) | ({
    t: "typing";
} & ClientTyping) | ({
    t: "claim";
} & ClientClaim) | ({
    t: "assign";
} & ClientAssign) | ({
    t: "resolve";
} & ClientResolve) | ({
    t: "reopen";
} & ClientReopen) | ({
    t: "snooze";
} & ClientSnooze) | ({
    t: "handover";
} & ClientHandover) | ({
    t: "subscribe";
} & ClientSubscribe) | ({
    t: "unsubscribe";
} & ClientUnsubscribe) | ({
    t: "presence";
} & ClientSetPresence) | ({
    t: "ping";
} & ClientPing);
/** What the server sends. */
export type ServerFrame = ({
    t: "welcome";
} & ServerWelcome) | ({
    t: "resumed";
} & ServerResumed) | ({
    t: "reset";
} & ServerReset) | ({
    t: "ack";
} & ServerAck) | ({
    t: "done";
} & ServerDone) | ({
    t: "error";
} & ServerError) | ({
    t: "event";
} & Event) | ({
    t: "typing";
} & ServerTypingNotice) | ({
    t: "queue.position";
} & ServerQueuePosition) | ({
    t: "presence";
} & ServerPresenceNotice) | ({
    t: "reconnect";
} & ServerReconnect) | ({
    t: "pong";
} & ServerPong);
/** An entry of a conversation, or a change told to those who follow an inbox. */
export type Event = {
    conversation_id: string;
    seq: number;
    at: string;
    type: "conversation.started";
    data: StartedData;
} | {
    conversation_id: string;
    seq: number;
    at: string;
    type: "message.accepted";
    data: Message;
} | {
    conversation_id: string;
    seq: number;
    at: string;
    type: "message.composed";
    data: Message;
} | {
    conversation_id: string;
    seq: number;
    at: string;
    type: "message.replied";
    data: Message;
} | {
    conversation_id: string;
    seq: number;
    at: string;
    type: "note.added";
    data: Message;
} | {
    conversation_id: string;
    seq: number;
    at: string;
    type: "turn.completed";
    data: TurnData;
} | {
    conversation_id: string;
    seq: number;
    at: string;
    type: "conversation.handover";
    data: HandoverData;
} | {
    conversation_id: string;
    seq: number;
    at: string;
    type: "conversation.assigned";
    data: AssignedData;
} | {
    conversation_id: string;
    seq: number;
    at: string;
    type: "conversation.unassigned";
    data: UnassignedData;
} | {
    conversation_id: string;
    seq: number;
    at: string;
    type: "conversation.status_changed";
    data: StatusData;
} | {
    conversation_id: string;
    seq: number;
    at: string;
    type: "messages.read";
    data: ReadData;
} | {
    conversation_id: string;
    seq: number;
    at: string;
    type: "messages.delivered";
    data: DeliveredData;
} | {
    conversation_id: string;
    seq: number;
    at: string;
    type: "conversation.tags_changed";
    data: TagsData;
} | {
    conversation_id: string;
    seq: number;
    at: string;
    type: "conversation.priority_changed";
    data: PriorityData;
} | {
    conversation_id: string;
    seq: number;
    at: string;
    type: "message.delivery_changed";
    data: DeliveryData;
} | {
    conversation_id: string;
    seq: number;
    at: string;
    type: "timer.started";
    data: TimerData;
} | {
    conversation_id: string;
    seq: number;
    at: string;
    type: "timer.ended";
    data: TimerData;
} | {
    conversation_id: string;
    seq: number;
    at: string;
    type: "conversation.mood_changed";
    data: MoodData;
} | {
    conversation_id: string;
    seq: number;
    at: string;
    type: "conversation.anomaly_found";
    data: AnomalyData;
} | {
    conversation_id: string;
    seq: number;
    at: string;
    type: "answer.judged";
    data: JudgedData;
} | {
    conversation_id: string;
    seq: number;
    at: string;
    type: "message.attachment_changed";
    data: AttachmentData;
} | {
    conversation_id: string;
    seq: number;
    at: string;
    type: "conversation.erased";
    data: ErasedData;
} | {
    conversation_id: string;
    seq: number;
    at: string;
    type: "conversation.updated";
    data: Summary;
};
/** Why the server ends a connection, and whether to come back. */
export declare const closeCodes: Readonly<Record<number, {
    reason: string;
    comeBack: boolean;
}>>;
/** AnomalyData says in what the conversation is unlike the others; agents only. */
export interface AnomalyData {
    anomaly: AnomalyKind;
    /** Explanation says it in English words and figures. */
    explanation: string;
    /** MeasuredMS is what was seen, and UsualMS what is usual in the channel, or the inbox's objective; milliseconds. */
    measured_ms?: number;
    usual_ms?: number;
    /** Count is the turns or messages that it was seen in. */
    count?: number;
    /** Same is how many of them have the same text, or are angry. */
    same?: number;
    /** Score is how angry the visitor sounds at most, and UsualScore how angry visitors of the channel do; 0 to 1. */
    score?: number;
    usual_score?: number;
}
/** AnomalyKind says in what a conversation is unlike the others. */
export type AnomalyKind = "slow" | "costly" | "anger" | "flood" | "stuck" | "loop";
/** AnomalySeen is when an anomaly of a kind was told last. */
export interface AnomalySeen {
    kind: AnomalyKind;
    at: string;
}
/** AssignedData says who has the conversation now. Visitors get the name only. */
export interface AssignedData {
    name: string;
    agent?: string;
    before?: string;
    by?: string;
    claimed?: boolean;
}
/** Attachment is a file that rides on a message. While its state is stored, its bytes are at /v1/attachments/{id} for who may read the conversation. */
export interface Attachment {
    id: string;
    name: string;
    /** Type is the media type that the bytes show, once they are there. */
    type?: string;
    /** Size is in bytes. */
    size?: number;
    state: AttachmentState;
    /** Reason says why it is unavailable, in a short code. */
    reason?: string;
}
/** AttachmentData says what became of an attachment that was pending. */
export interface AttachmentData {
    message: number;
    attachment: Attachment;
}
/** AttachmentState says whether the bytes of an attachment are there. */
export type AttachmentState = "stored" | "pending" | "unavailable";
/** Button is a reply the visitor can press instead of typing. */
export interface Button {
    label: string;
    /** what is sent in the visitor's name when pressed */
    text: string;
}
/** ChannelKind is a kind of transport: web, webhook, wechat, email, …. */
export type ChannelKind = "web" | "webhook" | "wechat" | "wecom" | "email" | "telegram" | "whatsapp" | "line" | "slack" | "feishu" | "dingtalk" | "sms" | "api";
/** Assign makes another agent the assignee. */
export interface ClientAssign {
    ref?: string;
    conversation_id: string;
    to: string;
}
/** Claim makes the agent who sends it the assignee. */
export interface ClientClaim {
    ref?: string;
    conversation_id: string;
}
/** Delivered says that everything up to a seq has arrived. */
export interface ClientDelivered {
    ref?: string;
    conversation_id: string;
    seq: number;
}
/** Handover gives a conversation from the bot to the humans. */
export interface ClientHandover {
    ref?: string;
    /** Conversation may be left out by visitors. */
    conversation_id?: string;
    /** Detail is for the agent, 256 bytes at most. */
    detail?: string;
}
/** Hello is the first frame of every connection. */
export interface ClientHello {
    /** V is the protocol version, 1. */
    v: number;
    /** Token is the visitor's token or an agent's bearer token; empty when the cookie or the subprotocol has brought one already. */
    token?: string;
    /** Resume names where an earlier connection stopped. */
    resume?: Resume;
}
/** Note is an internal remark of an agent. */
export interface ClientNote {
    /** ClientID is the sender's own id, as in message.send. */
    client_id: string;
    conversation_id: string;
    text: string;
}
/** Ping asks for a pong. Scripts cannot see the protocol's own pings, so this is how a page notices a dead link. */
export interface ClientPing {
    ref?: string;
}
/** Read says that everything up to a seq has been seen. */
export interface ClientRead {
    ref?: string;
    conversation_id: string;
    seq: number;
}
/** Reopen takes a resolved conversation up again. */
export interface ClientReopen {
    ref?: string;
    conversation_id: string;
}
/** Resolve says that the matter is settled. */
export interface ClientResolve {
    ref?: string;
    conversation_id: string;
    /** Reason is a free word for the record, 256 bytes at most. */
    reason?: string;
}
/** Send is a message: of the visitor, or of an agent to a conversation. */
export interface ClientSend {
    /** ClientID is the sender's own id, 1 to 128 bytes; the same id again gives the same ack and stores nothing. */
    client_id: string;
    /** Conversation is needed from agents; visitors have one at a time. */
    conversation_id?: string;
    /** Text is what is said, 16 KiB at most. It may be empty beside attachments. */
    text: string;
    /** Attachments names files that were handed in before, 10 at most. */
    attachments?: string[];
}
/** SetPresence says whether the agent takes conversations. */
export interface ClientSetPresence {
    ref?: string;
    state: Presence;
}
/** Snooze puts a conversation aside. */
export interface ClientSnooze {
    ref?: string;
    conversation_id: string;
    /** Until is when it comes back by itself; left out, it comes back on the next message. */
    until?: string;
}
/** Subscribe asks for the events of one conversation, or for the changes of the conversations of an inbox. Visitors follow their own conversation without asking. */
export interface ClientSubscribe {
    ref?: string;
    conversation_id?: string;
    /** After is the newest seq seen; what follows it is sent before anything live. Left out, only live events come. */
    after?: number;
    /** Inbox is the other kind: conversation.updated events of one inbox. */
    inbox?: string;
}
/** Typing says that the sender started or stopped typing. */
export interface ClientTyping {
    /** Conversation may be left out by visitors. */
    conversation_id?: string;
    on: boolean;
}
/** Unsubscribe ends what Subscribe began. */
export interface ClientUnsubscribe {
    ref?: string;
    conversation_id?: string;
    inbox?: string;
}
/** Code is a stable slug that names one kind of refusal. Codes are never reused. */
export type Code = "invalid" | "bad_id" | "bad_ref" | "text_empty" | "text_too_long" | "text_not_utf8" | "metadata_too_large" | "bad_tag" | "bad_priority" | "bad_time" | "unknown_field" | "bad_json" | "bad_frame" | "unknown_channel" | "unauthenticated" | "token_expired" | "forbidden" | "csrf" | "origin_not_allowed" | "not_found" | "conflict" | "invalid_transition" | "conversation_closed" | "already_claimed" | "not_assignee" | "on_hold" | "window_closed" | "stale_turn" | "version_mismatch" | "too_large" | "bad_attachment" | "media_type_refused" | "quota_used_up" | "overloaded" | "rate_limited" | "unavailable" | "fenced" | "shutting_down" | "outcome_unknown" | "internal";
/** DeliveredData says that the visitor's side has everything up to a seq; agents only. */
export interface DeliveredData {
    up_to: number;
}
/** Delivery is how far an outbound message has come. */
export type Delivery = "pending" | "sent" | "uncertain" | "failed";
/** DeliveryData is the fate of a message on its way to a provider. */
export interface DeliveryData {
    message: number;
    result: Delivery;
    /** ProviderID is the provider's name for it; agents only. */
    provider_id?: string;
    /** Detail is the class of a failure; agents only. */
    detail?: string;
    /** By is the agent who had it sent once more; agents only. */
    by?: string;
}
/** ErasedData says that a conversation is gone, with everything that was in it: who shows it forgets it. Visitors get it empty. */
export interface ErasedData {
    reason?: ErasureReason;
    by?: string;
}
/** ErasureReason says why a conversation was erased. */
export type ErasureReason = "contact" | "retention";
/** Handler says which side answers. */
export type Handler = "bot" | "agent" | "none";
/** HandoverData says that humans have the conversation now. Visitors get it empty. */
export interface HandoverData {
    reason?: HandoverReason;
    intent?: string;
    confidence?: number;
    summary?: string;
    by?: string;
}
/** HandoverReason says why humans got a conversation. */
export type HandoverReason = "asked" | "abstained" | "policy" | "bot_failed" | "no_bot" | "lookup_failed" | "slot_missing" | "by_agent" | "reopened" | "behavior" | "attachment" | "anger" | "anomaly";
/** JudgedData is a verdict on a message of the bot; agents only. */
export interface JudgedData {
    by: Party;
    /** Agent and Name say who judged, when an agent did. */
    agent?: string;
    name?: string;
    answer: number;
    turn: number;
    verdict: Verdict;
    /** Intent is what was really asked, when it is known. */
    intent?: string;
    taken?: string;
}
/** Message is a message or note. In REST answers and in events it is the same. */
export interface Message {
    id: string;
    seq: number;
    at: string;
    from: Party;
    /** Agent is who wrote it; agents only. */
    agent?: string;
    /** Name is the display name of the agent who wrote it. */
    name?: string;
    text: string;
    /** Note marks an internal remark; visitors never get one. */
    note?: boolean;
    /** ClientID is the sender's own id, to find the local copy by. */
    client_id?: string;
    in_reply_to_seq?: number;
    buttons?: Button[];
    /** Bot says why the bot answered so; agents only. */
    bot?: Provenance;
    /** Metadata came with the message; agents only. */
    metadata?: Record<string, string>;
    delivery?: Delivery;
    /** Attachments are the files that ride on it. */
    attachments?: Attachment[];
}
/** MoodData says that the visitor is in another mood, or has said something grave in the same one; agents only. */
export interface MoodData {
    from: Temper;
    to: Temper;
    reasons?: MoodReason[];
    /** Heat is the moving average behind it, in hundredths of log-odds; zero is calm. */
    heat?: number;
}
/** MoodReason says why a mood is what it is, in a short code. */
export type MoodReason = "level" | "sudden" | "threat" | "abuse" | "repeats" | "shouts" | "denies" | "failed_turns" | "waiting";
/** Party is one of the three sides of a conversation. */
export type Party = "visitor" | "bot" | "agent";
/** Presence says whether an agent takes conversations. */
export type Presence = "online" | "away" | "offline";
/** Priority orders waiting conversations. */
export type Priority = "none" | "low" | "medium" | "high" | "urgent";
/** PriorityData is a change of priority; agents only. */
export interface PriorityData {
    by?: string;
    from: Priority;
    to: Priority;
}
/** Problem is the description of a refusal, RFC 9457. */
export interface Problem {
    /** Kind is an address under /problems/ that names the code. */
    type: string;
    title: string;
    status: number;
    detail?: string;
    /** Instance is the id of the request. */
    instance?: string;
    code: Code;
    hint?: string;
    /** Allowed lists what would have been legal, for invalid_transition. */
    allowed?: string[];
    /** Retry says that the same request may work later. */
    retry?: boolean;
    /** RetryAfterMS says when. */
    retry_after_ms?: number;
    request_id?: string;
}
/** Profile is an agent as the console shows one. */
export interface Profile {
    id: string;
    name: string;
    email?: string;
    role: Role;
    inboxes?: string[];
    capacity?: number;
}
/** Provenance says why the bot answered as it did. */
export interface Provenance {
    intent?: string;
    confidence?: number;
    /** as in Prediction; zero = the same */
    raw_confidence?: number;
    model?: string;
    behavior?: string;
}
/** QueueState says whether a conversation waits for an agent. */
export type QueueState = "none" | "queued" | "assigned";
/** ReadData says that a party has seen everything up to a seq. */
export interface ReadData {
    by: Party;
    agent?: string;
    up_to: number;
}
/** ResetReason says why events cannot be continued. */
export type ResetReason = "epoch_changed" | "too_far_behind" | "not_available";
/** Resume is what a client has seen so far. */
export interface Resume {
    /** Epoch is the one of the last welcome. */
    epoch: string;
    /** Cursors holds the newest seq seen per conversation, 64 at most. */
    cursors?: Record<string, number>;
}
/** Role says what an agent may do. */
export type Role = "agent" | "admin";
/** Ack says that a message is durable. */
export interface ServerAck {
    client_id: string;
    conversation_id: string;
    message_id: string;
    seq: number;
    at: string;
    /** Durable is always true: there is no ack before that. */
    durable: boolean;
    /** Duplicate says that the client id was known; nothing new was stored. */
    duplicate: boolean;
}
/** Done answers the commands other than messages, when they carry a ref. */
export interface ServerDone {
    ref: string;
    conversation_id?: string;
    /** Version is the seq of the newest entry afterwards. */
    version?: number;
    status?: Status;
}
/** Error says why a frame was refused. */
export interface ServerError {
    ref: string;
    problem: Problem;
}
/** Pong answers ping. */
export interface ServerPong {
    ref?: string;
}
/** PresenceNotice tells agents about another agent's presence. */
export interface ServerPresenceNotice {
    agent: string;
    name?: string;
    state: Presence;
}
/** QueuePosition tells a visitor how many are before them. */
export interface ServerQueuePosition {
    conversation_id: string;
    position: number;
}
/** Reconnect asks the client to come back after a while; the connection is closed with 3001 soon after. */
export interface ServerReconnect {
    after_ms: number;
}
/** Reset says that events cannot be continued from a cursor: load again. */
export interface ServerReset {
    /** Reason is epoch_changed, too_far_behind or not_available. */
    reason: ResetReason;
    /** Conversation is the one that is meant; left out, all are. */
    conversation_id?: string;
}
/** Resumed says that all cursors have been served. */
export interface ServerResumed {
    /** Complete is false when a reset was sent for at least one of them. */
    complete: boolean;
}
/** TypingNotice says that the other side is typing. */
export interface ServerTypingNotice {
    conversation_id: string;
    on: boolean;
    from: Party;
    /** Name is the agent's display name. */
    name?: string;
}
/** Welcome answers hello. */
export interface ServerWelcome {
    /** Session names the connection in logs. */
    session: string;
    /** Epoch names the incarnation of the log; cursors are only good within one. */
    epoch: string;
    /** HeartbeatMS is how long the connection may be silent; send a ping when nothing has been heard for so long. */
    heartbeat_ms: number;
    /** MaxFrame is the largest frame taken, in bytes. */
    max_frame: number;
    /** Agent is who the connection speaks for, at the console. */
    agent?: Profile;
    /** Contact is who the connection speaks for, in the widget. */
    contact?: string;
    /** Conversation is the visitor's current one, if there is one. */
    conversation?: VisitorConversation;
}
/** StartedData is the beginning of a conversation. */
export interface StartedData {
    status: Status;
    inbox?: string;
    channel?: ChannelKind;
    contact?: string;
    peer?: string;
    previous?: string;
    handler?: Handler;
}
/** Status is where a conversation stands. */
export type Status = "pending" | "open" | "snoozed" | "resolved" | "closed";
/** StatusData is a change of status. Visitors get the new status only, and see a snoozed conversation as an open one. */
export interface StatusData {
    to: Status;
    from?: Status;
    trigger?: Trigger;
    by?: string;
    reason?: string;
    snoozed_until?: string;
}
/** Summary is a conversation as a list shows it; agents only. */
export interface Summary {
    id: string;
    inbox: string;
    channel: ChannelKind;
    contact: string;
    peer?: string;
    status: Status;
    handler: Handler;
    queue: QueueState;
    queued_at?: string;
    assignee?: string;
    priority: Priority;
    tags?: string[];
    handover_reason?: HandoverReason;
    intent?: string;
    /** empty = calm */
    mood?: Temper;
    /** why; of a calm visitor only what agents should know */
    mood_reasons?: MoodReason[];
    /** when which was told last */
    anomalies?: AnomalySeen[];
    created_at: string;
    last_activity: string;
    waiting_since?: string;
    snoozed_until?: string;
    /** start of the newest public message */
    preview?: string;
    preview_from?: Party;
    /** seq of the newest entry */
    version: number;
    /** what it held is gone; nobody is shown it any more */
    erased?: boolean;
    /** AssigneeName is the display name of the assignee. */
    assignee_name?: string;
}
/** TagsData holds the tags that changed; agents only. */
export interface TagsData {
    by?: string;
    added?: string[];
    removed?: string[];
}
/** Temper is the mood that a visitor is in. */
export type Temper = "calm" | "angry";
/** TimerData is a timer of a behavior; agents only. */
export interface TimerData {
    id: string;
    due?: string;
    fired?: boolean;
}
/** Trigger is what makes a status change. */
export type Trigger = "message" | "handover" | "take_over" | "unassign" | "transfer" | "return_bot" | "snooze" | "wake" | "resolve" | "reopen" | "close" | "inactivity";
/** TurnData says what a visitor's message was taken for; agents only. */
export interface TurnData {
    turn: number;
    intent?: string;
    confidence?: number;
    lang?: string;
    model?: string;
    behavior?: string;
    ask?: string;
    slots?: Record<string, string>;
    abstained?: boolean;
}
/** UnassignedData says that the conversation is back in the queue; agents only. */
export interface UnassignedData {
    agent: string;
    by?: string;
    reason?: string;
}
/** Verdict says whether an answer was right. */
export type Verdict = "right" | "wrong";
/** VisitorConversation is what a visitor may know about a conversation. */
export interface VisitorConversation {
    id: string;
    status: Status;
    /** Agent is the display name of the assignee. */
    agent?: string;
    created_at: string;
    last_activity: string;
    version: number;
}
