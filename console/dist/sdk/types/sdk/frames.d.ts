import type { Event, Problem, ServerFrame } from "../wire.gen.js";
export type { AnomalyData, Attachment, Button, ClientFrame, Delivery, JudgedData, Message, MoodReason, Party, Presence, Priority, Problem, Profile, Provenance, ServerFrame, Status, StatusData, Summary, TurnData, VisitorConversation, } from "../wire.gen.js";
/** EventKind is the kind of an entry of a log; conversation.updated is none. */
export type EventKind = Exclude<Event["type"], "conversation.updated">;
/** Entry is an event with its place and time. Its conversation is known where it is folded. */
export type Entry = {
    [K in EventKind]: Omit<Extract<Event, {
        type: K;
    }>, "conversation_id">;
}[EventKind];
/** EventFrame is an entry of a conversation on its way to a client. */
export type EventFrame = Exclude<Extract<ServerFrame, {
    t: "event";
}>, {
    type: "conversation.updated";
}>;
/** UpdatedFrame is what followers of an inbox get: the whole summary of a conversation that changed. */
export type UpdatedFrame = Extract<ServerFrame, {
    type: "conversation.updated";
}>;
/** Trouble is a problem as it may really arrive: from a proxy in between, without most of its fields. */
export type Trouble = Partial<Problem>;
