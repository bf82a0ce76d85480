// Package channels carries messages between the providers that visitors write
// through and the conversations of this system.
//
// A provider is reached by a small [Driver]: it verifies and translates what
// comes in, and makes the calls that carry a message out. Everything that is
// the same for all of them stands once, in [Channel]: size limits, the rule
// that a delivery is acknowledged only when its events are durable, pacing,
// the circuit breaker, splitting of long texts, error classes and metrics. A
// driver therefore holds only what its provider's documentation says.
//
// Ways through the package:
//
//	in:  http.Request -> (*Channel).ServeHTTP -> Driver.Receive -> Deliver -> answer
//	out: conversation.Outbound -> (*Sender).Send -> (*Channel).Send -> Driver.Send
//
// Package channeltest says what a driver must do to count as one.
package channels
