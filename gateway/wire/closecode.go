package wire

// CloseCode is why this server ends a connection.
//
// Codes from 3000 to 3499 mean: come back with back-off. From 3500 to 3999:
// do not come back before something has changed (the convention of
// Centrifugo). The ones below 3000 are RFC 6455's.
type CloseCode uint16

// The close codes.
const (
	CloseNormal          CloseCode = 1000
	CloseGoingAway       CloseCode = 1001
	CloseProtocol        CloseCode = 1002
	CloseNotText         CloseCode = 1003
	CloseBadText         CloseCode = 1007
	CloseTooBig          CloseCode = 1009
	CloseInternal        CloseCode = 1011
	CloseDrain           CloseCode = 3001
	CloseExpired         CloseCode = 3005
	CloseSlow            CloseCode = 3008
	CloseStale           CloseCode = 3010
	CloseNoPong          CloseCode = 3012
	CloseTooFast         CloseCode = 3013
	CloseInvalidToken    CloseCode = 3500
	CloseBadRequest      CloseCode = 3501
	CloseNoHello         CloseCode = 3502
	CloseForced          CloseCode = 3503
	CloseConnectionLimit CloseCode = 3504
	CloseForbidden       CloseCode = 3507
)

// CloseRow is what the world is told about a close code.
type CloseRow struct {
	Code   CloseCode
	Reason string // the reason on the close frame
	Return bool   // the client should come back
	Means  string
}

// CloseCodes lists every close code.
func CloseCodes() []CloseRow {
	return []CloseRow{
		{CloseNormal, "", false, "The client said goodbye."},
		{CloseGoingAway, "going away", true, "The other side went away."},
		{CloseProtocol, "protocol error", false, "The frame breaks RFC 6455."},
		{CloseNotText, "text only", false, "A binary frame came; the protocol is text."},
		{CloseBadText, "not utf-8", false, "A text frame was not UTF-8."},
		{CloseTooBig, "too big", false, "A frame or message is over max_frame."},
		{CloseInternal, "internal", true, "Something went wrong on our side."},
		{CloseDrain, "going down", true, "This node is going down; come back after the stated time."},
		{CloseExpired, "token expired", true, "The token or session ran out; get a new one, then come back."},
		{CloseSlow, "too slow", true, "The client did not read fast enough; resume from the last cursor."},
		{CloseStale, "state lost", true, "This connection's picture may have a hole, or its rights changed; resume."},
		{CloseNoPong, "no sign of life", true, "Nothing was heard for too long."},
		{CloseTooFast, "too many frames", true, "Too many frames in a short time."},
		{CloseInvalidToken, "invalid token", false, "The token is not valid."},
		{CloseBadRequest, "bad request", false, "The first frame is not a hello of a version we speak."},
		{CloseNoHello, "no hello", false, "No hello came in time."},
		{CloseForced, "session ended", false, "The session was ended: logout, a new password, or a disabled account."},
		{CloseConnectionLimit, "too many connections", false, "This visitor or agent has too many connections."},
		{CloseForbidden, "not allowed", false, "The page's origin is not on the inbox's list."},
	}
}

// Row finds the table row of c; unknown codes give that of [CloseInternal].
func (c CloseCode) Row() CloseRow {
	var fallback CloseRow
	for _, r := range CloseCodes() {
		if r.Code == c {
			return r
		}
		if r.Code == CloseInternal {
			fallback = r
		}
	}
	return fallback
}
