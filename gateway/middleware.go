package gateway

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

const (
	headerRequestID = "X-Request-Id"
	maxRequestID    = 64
)

// securityHeaders are those of every answer, which share the values: each has no
// room for a second one, so that whoever adds one makes a list of its own.
func securityHeaders() http.Header {
	h := http.Header{}
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "strict-origin-when-cross-origin")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	return h
}

// outermost is what every request passes: an id, security headers, a caught
// panic, metrics.
func (g *Gateway) outermost(next http.Handler) http.Handler {
	always := securityHeaders()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		sw := &statusWriter{ResponseWriter: w, began: began}
		h := w.Header()
		h[headerRequestID] = []string{requestID(r)}
		maps.Copy(h, always)
		if g.isHTTPS(r) {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		defer func() {
			if v := recover(); v != nil {
				g.onPanic(sw, r, v)
			}
			g.metrics.answered(sw.code(), sw.duration())
		}()
		next.ServeHTTP(sw, r)
	})
}

// onPanic answers with a problem if nothing has been answered yet. The stack
// goes to the log only.
func (g *Gateway) onPanic(w *statusWriter, r *http.Request, v any) {
	if v == http.ErrAbortHandler { //nolint:errorlint // a sentinel panic value, not an error chain
		panic(v)
	}
	g.metrics.panics.Inc()
	g.log.Error("request panicked", slog.String("request_id", requestIDOf(w)), slog.String("path", r.URL.Path),
		slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
	if w.status == 0 {
		g.refuse(w, r, conversation.ErrInternal)
	}
}

// requestID takes the caller's id if it is harmless, else makes one.
func requestID(r *http.Request) string {
	id := r.Header.Get(headerRequestID)
	if id == "" || len(id) > maxRequestID {
		return randomName("req_")[:24]
	}
	for i := range len(id) {
		c := id[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return randomName("req_")[:24]
		}
	}
	return id
}

func requestIDOf(w http.ResponseWriter) string { return w.Header().Get(headerRequestID) }

// statusWriter remembers the status. Unwrap lets the connection be hijacked
// through it.
type statusWriter struct {
	http.ResponseWriter
	status int
	began  time.Time
	took   time.Duration // of an answer without an end, until it began; zero = it has one
}

// endless says that what follows belongs to no time limit and no statistics.
func (w *statusWriter) endless() { w.took = time.Since(w.began) }

func (w *statusWriter) duration() time.Duration {
	if w.took > 0 {
		return w.took
	}
	return time.Since(w.began)
}

// WriteHeader implements [http.ResponseWriter].
func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap gives what [http.ResponseController] works on.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *statusWriter) code() int {
	if w.status == 0 {
		return http.StatusSwitchingProtocols // nothing was written: the connection was taken over
	}
	return w.status
}

// bounded limits the body and the time of a request.
func (g *Gateway) bounded(w http.ResponseWriter, r *http.Request, rt *route) (*http.Request, context.CancelFunc) {
	limit := g.limits.BodyBytes
	if rt.body != 0 {
		limit = rt.body
	}
	r.Body = http.MaxBytesReader(w, r.Body, limit)
	wait := g.limits.RequestTimeout
	if rt.access == accessIngress {
		wait += maxWait
	}
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	return r.WithContext(ctx), cancel
}
