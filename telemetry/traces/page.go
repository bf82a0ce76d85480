package traces

import (
	"fmt"
	"html/template"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// Handler serves the traces of src to whoever reaches the private listener:
//
//	GET /debug/traces?conversation=&channel=&min_ms=&error=    a page with a list
//	GET /debug/traces/{id}                                      a page with a waterfall
//	GET /debug/traces/{id}/otlp                                 the same as OTLP in JSON
func Handler(src Source) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/traces", func(w http.ResponseWriter, r *http.Request) { serveList(w, r, src) })
	mux.HandleFunc("GET /debug/traces/{id}", func(w http.ResponseWriter, r *http.Request) {
		if t := found(w, r, src); t != nil {
			render(w, "trace", pageOf(t))
		}
	})
	mux.HandleFunc("GET /debug/traces/{id}/otlp", func(w http.ResponseWriter, r *http.Request) {
		t := found(w, r, src)
		if t == nil {
			return
		}
		raw, err := t.OTLP()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(raw) //nolint:gosec // JSON and said to be; the reader may be gone, and there is nobody to tell
	})
	return mux
}

// ReadQuery reads a query from a request's parameters. Errors: class invalid.
func ReadQuery(r *http.Request) (Query, error) {
	v := r.URL.Query()
	q := Query{Channel: conversation.ChannelKind(v.Get("channel"))}
	if q.Channel != "" && !q.Channel.Known() {
		return q, conversation.Refuse(conversation.CodeUnknownChannel, "channel: no such channel")
	}
	if s := v.Get("conversation"); s != "" {
		id, err := conversation.ParseConversationID(s)
		if err != nil {
			return q, err
		}
		q.Conversation = id
	}
	if s := v.Get("min_ms"); s != "" {
		ms, err := strconv.ParseFloat(s, 64)
		if err != nil || math.IsNaN(ms) || ms < 0 || ms > maxMillis {
			return q, conversation.Refusef(conversation.CodeInvalid, "min_ms is a number from 0 to %d", int64(maxMillis))
		}
		q.Least = time.Duration(ms * float64(time.Millisecond))
	}
	if s := v.Get("error"); s != "" {
		only, err := strconv.ParseBool(s)
		if err != nil {
			return q, conversation.Refuse(conversation.CodeInvalid, "error is true or false")
		}
		q.Failed = only
	}
	if s := v.Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > maxList {
			return q, conversation.Refusef(conversation.CodeInvalid, "limit is a number from 1 to %d", maxList)
		}
		q.Limit = n
	}
	return q, nil
}

const (
	maxList   = 1_000
	maxMillis = 86_400_000
)

func serveList(w http.ResponseWriter, r *http.Request, src Source) {
	q, err := ReadQuery(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	list, err := src.Traces(r.Context(), q)
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	render(w, "list", list)
}

func found(w http.ResponseWriter, r *http.Request, src Source) *Trace {
	id, err := conversation.ParseTraceID(r.PathValue("id"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return nil
	}
	t, err := src.Trace(r.Context(), id)
	if err != nil {
		http.Error(w, err.Error(), conversation.CodeOf(err).Row().Status)
		return nil
	}
	return t
}

// page is a trace as the waterfall's page shows it.
type page struct {
	Summary

	Rows []bar
}

// bar is a row with its place on the page, in percent.
type bar struct {
	Row

	Left, Width string
	After, For  string
}

func pageOf(t *Trace) page {
	rows := t.Rows()
	from, all := span(rows)
	p := page{Summary: t.Summary}
	percent := func(d time.Duration) string { return strconv.FormatFloat(100*float64(d)/float64(all), 'f', 2, 64) }
	for _, r := range rows {
		after := r.Start.Sub(from)
		p.Rows = append(p.Rows, bar{Row: r, Left: percent(after), Width: percent(max(r.Took, all/500)), After: short(after), For: short(r.Took)})
	}
	return p
}

// render answers with a page. It is small and there are no scripts in it, so
// that it needs none of the console.
func render(w http.ResponseWriter, name string, data any) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'")
	if err := pages().ExecuteTemplate(w, name, data); err != nil {
		_, _ = fmt.Fprint(w, "the page could not be made")
	}
}

func pages() *template.Template {
	return template.Must(template.New("").Funcs(template.FuncMap{
		"ms":     func(v float64) string { return short(time.Duration(v * float64(time.Millisecond))) },
		"indent": func(depth int) int { return min(depth, 20) * 14 },
	}).Parse(pageText))
}

const pageText = `{{define "head"}}<!doctype html><html lang="en"><meta charset="utf-8"><title>Traces</title><style>
body{font:14px/1.5 system-ui,sans-serif;margin:2rem;color:#1c2330;background:#fff}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.25rem .6rem;border-bottom:1px solid #e4e7ec;white-space:nowrap}
td.lane{width:60%;position:relative}td.lane i{position:absolute;top:.55rem;height:.7rem;background:#3b6fd4;border-radius:2px;min-width:2px}
.bad{color:#b3261e}td.lane i.bad{background:#b3261e}.n{text-align:right;font-variant-numeric:tabular-nums}input,select{font:inherit}
code{font-size:12px}</style>{{end}}
{{define "list"}}{{template "head"}}<h1>Traces</h1>
<form><label>conversation <input name="conversation" size="36"></label> <label>channel <input name="channel" size="10"></label>
<label>at least <input name="min_ms" size="6"> ms</label> <label><input type="checkbox" name="error" value="true"> with an error</label> <button>Show</button></form>
<table><tr><th>began<th class="n">turn<th>kept because<th>channel<th>inbox<th>conversation<th class="n">spans<th class="n">nodes</tr>
{{range .}}<tr><td><a href="/debug/traces/{{.ID}}">{{.Began.Format "2006-01-02 15:04:05.000"}}</a><td class="n">{{ms .Took}}<td{{if .Failed}} class="bad"{{end}}>{{.Reason}}<td>{{.Channel}}<td>{{.Inbox}}<td><a href="/debug/traces?conversation={{.Conversation}}"><code>{{.Conversation}}</code></a><td class="n">{{.Spans}}<td class="n">{{len .Nodes}}</tr>
{{else}}<tr><td colspan="8">No trace is kept that fits. Turns are kept when they fail, are slower than 99 of 100, or are watched or sampled.</tr>{{end}}</table>{{end}}
{{define "trace"}}{{template "head"}}<p><a href="/debug/traces">Traces</a></p><h1><code>{{.ID}}</code></h1>
<p>{{.Began.Format "2006-01-02 15:04:05.000"}} · turn {{ms .Took}} · {{.Channel}} · inbox {{.Inbox}} · conversation <a href="/debug/traces?conversation={{.Conversation}}"><code>{{.Conversation}}</code></a> · <span{{if .Failed}} class="bad"{{end}}>{{.Reason}}</span> · <a href="/debug/traces/{{.ID}}/otlp">OTLP</a></p>
<table><tr><th>span<th>node<th class="n">after<th class="n">took<th>what it came to<th></tr>
{{range .Rows}}<tr{{if .Failed}} class="bad"{{end}}><td style="padding-left:{{indent .Depth}}px">{{.Name}}<td><code>{{.Node}}</code><td class="n">{{.After}}<td class="n">{{.For}}<td>{{.Note}}<td class="lane"><i{{if .Failed}} class="bad"{{end}} style="left:{{.Left}}%;width:{{.Width}}%"></i></tr>
{{end}}</table>{{end}}`
