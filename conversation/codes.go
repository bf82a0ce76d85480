package conversation

import "sync"

// Code is a stable slug that names one kind of refusal. Codes are never reused.
type Code string

// The codes. Their class, HTTP status and advice stand in [Codes].
const (
	CodeInvalid            Code = "invalid"
	CodeBadID              Code = "bad_id"
	CodeBadRef             Code = "bad_ref"
	CodeEmptyText          Code = "text_empty"
	CodeTextTooLong        Code = "text_too_long"
	CodeBadText            Code = "text_not_utf8"
	CodeTooMuchMetadata    Code = "metadata_too_large"
	CodeBadTag             Code = "bad_tag"
	CodeBadPriority        Code = "bad_priority"
	CodeBadTime            Code = "bad_time"
	CodeUnknownField       Code = "unknown_field"
	CodeBadJSON            Code = "bad_json"
	CodeBadFrame           Code = "bad_frame"
	CodeUnknownChannel     Code = "unknown_channel"
	CodeUnauthenticated    Code = "unauthenticated"
	CodeTokenExpired       Code = "token_expired"
	CodeForbidden          Code = "forbidden"
	CodeCSRF               Code = "csrf"
	CodeOrigin             Code = "origin_not_allowed"
	CodeNotFound           Code = "not_found"
	CodeConflict           Code = "conflict"
	CodeInvalidTransition  Code = "invalid_transition"
	CodeConversationClosed Code = "conversation_closed"
	CodeAlreadyClaimed     Code = "already_claimed"
	CodeNotAssignee        Code = "not_assignee"
	CodeHeld               Code = "on_hold"
	CodeWindowClosed       Code = "window_closed"
	CodeStaleTurn          Code = "stale_turn"
	CodeVersionMismatch    Code = "version_mismatch"
	CodeTooLarge           Code = "too_large"
	CodeBadAttachment      Code = "bad_attachment"
	CodeMediaType          Code = "media_type_refused"
	CodeQuota              Code = "quota_used_up"
	CodeOverloaded         Code = "overloaded"
	CodeRateLimited        Code = "rate_limited"
	CodeUnavailable        Code = "unavailable"
	CodeFenced             Code = "fenced"
	CodeShuttingDown       Code = "shutting_down"
	CodeUnknownOutcome     Code = "outcome_unknown"
	CodeInternal           Code = "internal"
)

// CodeRow is what the world is told about a code.
type CodeRow struct {
	Code   Code
	Class  error
	Status int // HTTP
	Retry  bool
	Means  string
}

// Codes lists every code with its class, status and meaning. The error
// reference and the wire codes are generated from it.
func Codes() []CodeRow {
	return []CodeRow{
		{CodeInvalid, ErrInvalid, 400, false, "The request is not valid."},
		{CodeBadID, ErrInvalid, 400, false, "An id has the wrong form."},
		{CodeBadRef, ErrInvalid, 400, false, "The sender's message id is empty or too long."},
		{CodeEmptyText, ErrInvalid, 400, false, "A message needs text."},
		{CodeTextTooLong, ErrTooLarge, 413, false, "The text is over the limit."},
		{CodeBadText, ErrInvalid, 400, false, "The text is not valid UTF-8 or holds control characters."},
		{CodeTooMuchMetadata, ErrTooLarge, 413, false, "The metadata is over the limit."},
		{CodeBadTag, ErrInvalid, 400, false, "A tag has the wrong form, or there are too many."},
		{CodeBadPriority, ErrInvalid, 400, false, "The priority is none, low, medium, high or urgent."},
		{CodeBadTime, ErrInvalid, 400, false, "A time is in the past or not readable."},
		{CodeUnknownField, ErrInvalid, 400, false, "The body holds a field that this call does not know."},
		{CodeBadJSON, ErrInvalid, 400, false, "The body is not the JSON that this call expects."},
		{CodeBadFrame, ErrInvalid, 400, false, "The frame is not one of the protocol."},
		{CodeUnknownChannel, ErrInvalid, 400, false, "The channel kind is not known, or is not served by this inbox."},
		{CodeUnauthenticated, ErrUnauthenticated, 401, false, "No valid credential came with the request."},
		{CodeTokenExpired, ErrUnauthenticated, 401, false, "The token has expired; get a new one."},
		{CodeForbidden, ErrForbidden, 403, false, "The credential does not allow this."},
		{CodeCSRF, ErrForbidden, 403, false, "The request lacks the anti-forgery header."},
		{CodeOrigin, ErrForbidden, 403, false, "The page's origin is not on the inbox's list."},
		{CodeNotFound, ErrNotFound, 404, false, "It does not exist, or is not yours to see."},
		{CodeConflict, ErrConflict, 409, false, "The present state does not allow this."},
		{CodeInvalidTransition, ErrConflict, 409, false, "The status cannot change this way; the legal ways are listed."},
		{CodeConversationClosed, ErrConflict, 409, false, "The conversation is closed for good; a new message opens its successor."},
		{CodeAlreadyClaimed, ErrConflict, 409, false, "Another agent has the conversation."},
		{CodeNotAssignee, ErrConflict, 409, false, "Only the assigned agent may do this."},
		{CodeHeld, ErrConflict, 409, false, "A hold stands on it, so nothing of it is erased until an admin lifts that."},
		{CodeWindowClosed, ErrConflict, 409, false, "The provider takes no more messages until the visitor writes again."},
		{CodeStaleTurn, ErrConflict, 409, false, "The turn that this answers is over."},
		{CodeVersionMismatch, ErrConflict, 409, true, "The conversation has moved on; read it again."},
		{CodeTooLarge, ErrTooLarge, 413, false, "Over a size limit."},
		{CodeBadAttachment, ErrInvalid, 400, false, "An attachment is not one, was never handed in here, or is there twice."},
		{CodeMediaType, ErrInvalid, 400, false, "Files of this kind are not taken; what counts is their content, not their name."},
		{CodeQuota, ErrOverloaded, 429, true, "Too many bytes in one day; smaller files, or tomorrow."},
		{CodeOverloaded, ErrOverloaded, 429, true, "A queue is full; try again."},
		{CodeRateLimited, ErrOverloaded, 429, true, "Too many requests; slow down."},
		{CodeUnavailable, ErrUnavailable, 503, true, "Not done; try again with the same id."},
		{CodeFenced, ErrUnavailable, 503, true, "Another activation owns the conversation; try again with the same id."},
		{CodeShuttingDown, ErrUnavailable, 503, true, "This node is going down; try again with the same id."},
		{CodeUnknownOutcome, ErrUnknown, 503, true, "May or may not be done; try again with the same id."},
		{CodeInternal, ErrInternal, 500, true, "Something went wrong on our side."},
	}
}

// rows is the table by code. It is asked for with every error, several times.
var rows = sync.OnceValue(func() map[Code]CodeRow { //nolint:gochecknoglobals // made once, never changed
	m := make(map[Code]CodeRow)
	for _, r := range Codes() {
		m[r.Code] = r
	}
	return m
})

// Row finds the table row of c; unknown codes give that of [CodeInternal].
func (c Code) Row() CodeRow {
	if r, ok := rows()[c]; ok {
		return r
	}
	return rows()[CodeInternal]
}

// Class gives the error class of c.
func (c Code) Class() error { return c.Row().Class }

// generalCodes are the codes that stand for a whole class.
func generalCodes() []Code {
	return []Code{
		CodeInvalid, CodeUnauthenticated, CodeForbidden, CodeNotFound, CodeConflict,
		CodeTooLarge, CodeOverloaded, CodeUnavailable, CodeUnknownOutcome,
	}
}
