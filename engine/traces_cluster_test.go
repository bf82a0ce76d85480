//go:build !race

// See cluster_test.go.

package engine

import (
	"net/http"
	"slices"
	"testing"

	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/telemetry/traces"
)

// A turn that crosses nodes is one trace, which every node shows.
func TestTraceOfATurnOverTwoNodes(t *testing.T) {
	if testing.Short() {
		t.Skip("starts two nodes")
	}
	key := cluster.NewKey()
	first, _ := serving(t, clusterOptions(t, key))
	second, _ := serving(t, clusterOptions(t, key, first.node.GossipAddress()))
	nodes := []*Engine{first, second}
	eventually(t, "two nodes that know of each other", func() bool {
		return len(first.gate.View().Members()) == 2 && len(second.gate.View().Members()) == 2
	})
	putInbox(t, first, conversation.Inbox{ID: "house", Name: "House", Lang: "en", Packs: []string{"house"}, Policy: conversation.Policy{Answers: conversation.AnswersOn}})
	eventually(t, "the inbox on both nodes", func() bool {
		_, err := second.store.Inbox("house")
		return err == nil
	})
	in := visitor("house", "when are you open")
	where := say(t, first, in).Conversation
	entrance, owner := first, second
	if !owner.gate.Owns(cluster.GrainID{Kind: "conversation", ID: where.String()}) {
		entrance, owner = second, first
	}
	in.Ref = "crosses"
	in.Trace = conversation.ParseTraceparent("00-" + callersTrace + "-00f067aa0ba902b7-01")
	say(t, entrance, in)
	for _, e := range nodes {
		admin := e.as(t, conversation.RoleAdmin)
		var list struct {
			Data []traces.Summary `json:"data"`
		}
		eventually(t, "the trace with spans of both nodes in every node's list", func() bool {
			status, _ := admin.call(http.MethodGet, "/v1/traces?conversation="+where.String(), &list)
			return status == http.StatusOK && len(list.Data) == 1 && len(list.Data[0].Nodes) == 2
		})
		want := []string{"entrance gateway.in", "entrance remote.call", "owner grain", "owner intent", "owner policy", "owner store.append", "owner turn"}
		var got []string
		eventually(t, "all spans of the trace", func() bool {
			_, raw := admin.call(http.MethodGet, "/v1/traces/"+callersTrace, nil)
			rows, err := traces.ReadOTLP([]byte(raw))
			if err != nil {
				t.Fatal(err)
			}
			got = nil
			for _, r := range rows {
				at := "entrance"
				if r.Node == owner.store.Identity().Node {
					at = "owner"
				}
				got = append(got, at+" "+r.Name)
			}
			// A slow turn appends twice: its message, then the rest.
			slices.Sort(got)
			got = slices.Compact(got)
			return len(got) >= len(want)
		})
		if !slices.Equal(got, want) {
			t.Errorf("the trace is %v, want %v", got, want)
		}
	}
	if len(owner.traces.List(traces.Query{})) != 1 || len(entrance.traces.List(traces.Query{})) != 0 {
		t.Error("the trace is to be kept where the conversation is, and only there")
	}
}
