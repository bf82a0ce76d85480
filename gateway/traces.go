package gateway

import (
	"net/http"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/telemetry/traces"
)

// withTraces is a handler that needs them.
func withTraces(h handler) handler {
	return needing(func(o *Options) bool { return o.Traces != nil }, conversation.Refuse(conversation.CodeUnavailable, "this server records no traces"), h)
}

// maySeeTrace reports whether a trace is of an inbox that the caller works in.
// Those of no inbox, of messages that never reached one, are for admins.
func (c *caller) maySeeTrace(s *traces.Summary) bool {
	if s.Inbox == "" {
		return c.agent.agent.Role == conversation.RoleAdmin
	}
	return c.agent.agent.MaySee(s.Inbox)
}

func (g *Gateway) listTraces(w http.ResponseWriter, r *http.Request, who caller) error {
	q, err := traces.ReadQuery(r)
	if err != nil {
		return err
	}
	q.Inboxes = who.agent.agent.Inboxes
	found, err := g.opts.Traces.Traces(r.Context(), q)
	if err != nil {
		return err
	}
	seen := make([]traces.Summary, 0, len(found))
	for i := range found {
		if who.maySeeTrace(&found[i]) {
			seen = append(seen, found[i])
		}
	}
	return answer(w, http.StatusOK, newPage(seen, ""))
}

// showTrace answers with OTLP in JSON. A trace that the caller may not see is
// one that is not there.
func (g *Gateway) showTrace(w http.ResponseWriter, r *http.Request, who caller) error {
	id, err := conversation.ParseTraceID(r.PathValue("trace"))
	if err != nil {
		return err
	}
	t, err := g.opts.Traces.Trace(r.Context(), id)
	if err != nil {
		return err
	}
	if !who.maySeeTrace(&t.Summary) {
		return conversation.Refuse(conversation.CodeNotFound, "no such trace, or not any more")
	}
	raw, err := t.OTLP()
	if err != nil {
		return err
	}
	return answerBytes(w, http.StatusOK, raw)
}
