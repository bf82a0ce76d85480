package traces

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/telemetry/flight"
)

// Scope names what made the spans.
const Scope = "github.com/colloquyhq/colloquy"

// Kind is a span's part in a conversation between services, as OTLP numbers it.
type Kind int

// The kinds.
const (
	KindInternal Kind = 1
	KindServer   Kind = 2
	KindClient   Kind = 3
)

// Attribute is a fact about a span; Text counts unless it is empty.
type Attribute struct {
	Key  string
	Text string
	Int  int64
}

// KindOf gives the kind of a span: what comes in, what goes out, and the rest.
// A turn whose message came from another node serves that one.
func (t *Trace) KindOf(r *flight.Record) Kind {
	switch r.Name {
	case flight.GatewayIn.String():
		return KindServer
	case flight.RemoteCall.String(), flight.ChannelSend.String():
		return KindClient
	case flight.Turn.String():
		for i := range t.All {
			if p := &t.All[i]; p.Span == r.Parent && p.Name == flight.RemoteCall.String() {
				return KindServer
			}
		}
	}
	return KindInternal
}

// Attributes gives what a span says, under the names of OpenTelemetry's
// conventions where there are any. Source: semantic conventions 1.43, messaging.
func Attributes(r *flight.Record) []Attribute {
	var out []Attribute
	text := func(key, value string) {
		if value != "" {
			out = append(out, Attribute{Key: key, Text: value})
		}
	}
	number := func(key string, value int64) { out = append(out, Attribute{Key: key, Int: value}) }
	if !r.Conversation.IsZero() {
		text("messaging.message.conversation_id", r.Conversation.String())
		text("session.id", r.Conversation.String())
		if r.Seq > 0 {
			text("messaging.message.id", conversation.MessageID(r.Conversation, r.Seq))
		}
	}
	text("messaging.system", r.Channel)
	switch r.Name {
	case flight.GatewayIn.String():
		text("messaging.operation.type", "receive")
	case flight.Turn.String():
		text("messaging.operation.type", "process")
		number("colloquy.cpu_ns", r.Value)
		text("colloquy.outcome", r.Label)
	case flight.Intent.String():
		text("colloquy.intent", r.Label)
		number("colloquy.confidence_millionths", r.Value)
	case flight.Policy.String():
		text("colloquy.outcome", r.Label)
	case flight.Behavior.String():
		text("colloquy.behavior", r.Label)
	case flight.StoreAppend.String():
		number("colloquy.entries", r.Value)
	case flight.ChannelSend.String():
		text("messaging.operation.type", "send")
		number("colloquy.attempt", r.Value)
	case flight.SocketFlush.String():
		number("colloquy.bytes", r.Value)
	case flight.RemoteCall.String():
		text("colloquy.node", r.Label)
	}
	if r.Failed {
		text("error.type", errorType(r))
	}
	return out
}

// errorType is the class of the error where the label says it.
func errorType(r *flight.Record) string {
	switch r.Name {
	case flight.GatewayIn.String(), flight.StoreAppend.String(), flight.ChannelSend.String(), flight.Turn.String():
		if r.Label != "" {
			return r.Label
		}
	}
	return "_OTHER"
}

// The shape of OTLP in JSON: ids in hexadecimal, 64-bit numbers as text.
// Source: OTLP specification 1.9, JSON Protobuf encoding.
type (
	otlpTraces struct {
		ResourceSpans []otlpResource `json:"resourceSpans"`
	}
	otlpResource struct {
		Resource   otlpAttributes `json:"resource"`
		ScopeSpans []otlpScope    `json:"scopeSpans"`
	}
	otlpAttributes struct {
		Attributes []otlpAttribute `json:"attributes"`
	}
	otlpScope struct {
		Scope struct {
			Name string `json:"name"`
		} `json:"scope"`
		Spans []otlpSpan `json:"spans"`
	}
	otlpSpan struct {
		TraceID    conversation.TraceID `json:"traceId"`
		SpanID     conversation.SpanID  `json:"spanId"`
		Parent     string               `json:"parentSpanId,omitempty"`
		Name       string               `json:"name"`
		Kind       Kind                 `json:"kind"`
		Start      string               `json:"startTimeUnixNano"`
		End        string               `json:"endTimeUnixNano"`
		Attributes []otlpAttribute      `json:"attributes,omitempty"`
		Status     otlpStatus           `json:"status"`
	}
	otlpAttribute struct {
		Key   string    `json:"key"`
		Value otlpValue `json:"value"`
	}
	otlpValue struct {
		Text *string `json:"stringValue,omitempty"`
		Int  *string `json:"intValue,omitempty"`
	}
	otlpStatus struct {
		Code int `json:"code,omitempty"`
	}
)

const otlpFailed = 2

// OTLP writes a trace as OTLP in JSON, which Jaeger and others open.
func (t *Trace) OTLP() ([]byte, error) {
	var out otlpTraces
	for _, node := range t.Nodes {
		res := otlpResource{Resource: otlpAttributes{attributesOf([]Attribute{{Key: "service.name", Text: "colloquy"}, {Key: "service.instance.id", Text: node}})}}
		scope := otlpScope{}
		scope.Scope.Name = Scope
		for i := range t.All {
			if r := &t.All[i]; r.Node == node {
				scope.Spans = append(scope.Spans, t.span(r))
			}
		}
		res.ScopeSpans = []otlpScope{scope}
		out.ResourceSpans = append(out.ResourceSpans, res)
	}
	return json.Marshal(out)
}

func (t *Trace) span(r *flight.Record) otlpSpan {
	s := otlpSpan{
		TraceID: r.Trace, SpanID: r.Span, Name: r.Name, Kind: t.KindOf(r), Attributes: attributesOf(Attributes(r)),
		Start: strconv.FormatInt(r.Start.UnixNano(), 10), End: strconv.FormatInt(r.Start.Add(r.Took).UnixNano(), 10),
	}
	if r.Parent != (conversation.SpanID{}) {
		s.Parent = r.Parent.String()
	}
	if r.Failed {
		s.Status.Code = otlpFailed
	}
	return s
}

func attributesOf(list []Attribute) []otlpAttribute {
	out := make([]otlpAttribute, len(list))
	for i, a := range list {
		out[i].Key = a.Key
		if a.Text != "" {
			out[i].Value.Text = &a.Text
		} else {
			n := strconv.FormatInt(a.Int, 10)
			out[i].Value.Int = &n
		}
	}
	return out
}

// ReadOTLP reads what [Trace.OTLP] writes, as rows to show. Errors: class invalid.
func ReadOTLP(raw []byte) ([]Row, error) {
	var in otlpTraces
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, &conversation.Error{Code: conversation.CodeBadJSON, Detail: "this is no OTLP in JSON", Err: err}
	}
	var rows []Row
	for _, res := range in.ResourceSpans {
		node := textOf(res.Resource.Attributes, "service.instance.id")
		for _, scope := range res.ScopeSpans {
			for i := range scope.Spans {
				rows = append(rows, scope.Spans[i].row(node))
			}
		}
	}
	return Arrange(rows), nil
}

func (s *otlpSpan) row(node string) Row {
	start, _ := strconv.ParseInt(s.Start, 10, 64) // what is no number is shown as no time
	end, _ := strconv.ParseInt(s.End, 10, 64)
	r := Row{
		ID: s.SpanID.String(), Parent: s.Parent, Name: s.Name, Node: node, Start: time.Unix(0, start).UTC(), Took: time.Duration(max(end-start, 0)),
		Failed: s.Status.Code == otlpFailed,
	}
	for _, key := range noted() {
		if v := textOf(s.Attributes, key); v != "" {
			r.Note = v
			break
		}
	}
	return r
}

// noted are the attributes that a row shows, the first that is there.
func noted() []string {
	return []string{"error.type", "colloquy.outcome", "colloquy.intent", "colloquy.behavior", "colloquy.node"}
}

func textOf(list []otlpAttribute, key string) string {
	i := slices.IndexFunc(list, func(a otlpAttribute) bool { return a.Key == key })
	if i < 0 || list[i].Value.Text == nil {
		return ""
	}
	return *list[i].Value.Text
}
