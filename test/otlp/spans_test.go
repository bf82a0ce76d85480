package main

import (
	"maps"
	"sync"

	"go.opentelemetry.io/collector/pdata/ptrace"
)

// span is what the test looks at.
type span struct {
	trace, id, parent string
	name, node        string
	failed            bool
	facts             map[string]string
}

// spans are those that the receiver got.
type spans struct {
	mu sync.Mutex
	by map[string]map[string]span // trace, span
}

func (s *spans) take(t ptrace.Traces) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, res := range t.ResourceSpans().All() {
		node, _ := res.Resource().Attributes().Get("service.instance.id")
		for _, scope := range res.ScopeSpans().All() {
			for _, x := range scope.Spans().All() {
				got := span{
					trace: x.TraceID().String(), id: x.SpanID().String(), parent: x.ParentSpanID().String(), name: x.Name(), node: node.Str(),
					failed: x.Status().Code() == ptrace.StatusCodeError, facts: map[string]string{},
				}
				for key, value := range x.Attributes().All() {
					got.facts[key] = value.AsString()
				}
				if s.by[got.trace] == nil {
					s.by[got.trace] = map[string]span{}
				}
				s.by[got.trace][got.id] = got
			}
		}
	}
	return nil
}

// whole tells whether every span of a turn that crosses the nodes has come, from
// whichever of them; the lock must be held.
func (s *spans) whole(trace string) bool {
	for name := range parents {
		if _, ok := named(s.by[trace], name); !ok {
			return false
		}
	}
	return true
}

// find gives a copy of a trace with a span that fits.
func (s *spans) find(fits func(span) bool) map[string]span {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, trace := range s.by {
		for _, x := range trace {
			if fits(x) {
				return maps.Clone(trace)
			}
		}
	}
	return nil
}

// named gives the first span of a name.
func named(trace map[string]span, name string) (span, bool) {
	for _, x := range trace {
		if x.name == name {
			return x, true
		}
	}
	return span{}, false
}
