package dashboards

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

// catalog is the metrics that there are, with their labels.
type catalog map[string][]string

// problems says what is wrong with a query.
func (c catalog) problems(expr string) []string {
	tree, err := parser.ParseExpr(expr)
	if err != nil {
		return []string{fmt.Sprintf("%v: %s", err, expr)}
	}
	var out []string
	parser.Inspect(tree, func(node parser.Node, path []parser.Node) error {
		if sel, ok := node.(*parser.VectorSelector); ok {
			out = append(out, c.selector(sel, path)...)
		}
		return nil
	})
	return out
}

// selector checks a metric's name, the labels it is chosen by, and those that the
// aggregations around it keep.
func (c catalog) selector(sel *parser.VectorSelector, path []parser.Node) []string {
	have, ok := c[sel.Name]
	if !ok {
		return []string{"there is no metric " + sel.Name}
	}
	var used, out []string
	for _, m := range sel.LabelMatchers {
		if m.Name != labels.MetricName {
			used = append(used, m.Name)
		}
	}
	for _, n := range path {
		if a, ok := n.(*parser.AggregateExpr); ok && !a.Without {
			used = append(used, a.Grouping...)
		}
	}
	for _, l := range used {
		// Prometheus itself adds the instance.
		if !slices.Contains(have, l) && l != "instance" {
			out = append(out, fmt.Sprintf("%s has no label %s", sel.Name, l))
		}
	}
	return out
}

func TestDashboardsAskForWhatThereIs(t *testing.T) {
	t.Parallel()
	c := catalog(labelsOf(t))
	// The observer is a program of its own, whose metrics are on the page once it
	// is in the tree.
	observer := slices.ContainsFunc(slices.Collect(maps.Keys(c)), func(n string) bool { return strings.HasPrefix(n, "colloquy_ebpf_") })
	for _, b := range readBoards(t) {
		if b.file == "ebpf.json" && !observer {
			t.Log("colloquy-ebpf is not in the tree: the names of its metrics are not checked")
			continue
		}
		for _, p := range b.Panels {
			if len(p.Targets) == 0 {
				t.Errorf("%s, %s: asks for nothing", b.file, p.Title)
			}
			for _, target := range p.Targets {
				for _, problem := range c.problems(plain(target.Expr, "5m")) {
					t.Errorf("%s, %s: %s", b.file, p.Title, problem)
				}
			}
		}
	}
}

func TestDashboardsAreWhole(t *testing.T) {
	t.Parallel()
	uids := map[string]string{}
	for _, b := range readBoards(t) {
		if other := uids[b.UID]; b.UID == "" || other != "" {
			t.Errorf("%s: the uid %q is that of %q", b.file, b.UID, other)
		}
		uids[b.UID] = b.file
		places := map[[2]int]bool{}
		for i, p := range b.Panels {
			at := [2]int{p.Grid.X, p.Grid.Y}
			switch {
			case p.ID != i+1:
				t.Errorf("%s, %s: id %d, want %d", b.file, p.Title, p.ID, i+1)
			case p.Title == "" || p.Description == "":
				t.Errorf("%s, %s: no title or no description", b.file, p.Title)
			case p.Datasource.UID != "${datasource}":
				t.Errorf("%s, %s: the data source is %q", b.file, p.Title, p.Datasource.UID)
			case places[at] || p.Grid.X+p.Grid.W > 24 || p.Grid.W <= 0 || p.Grid.H <= 0:
				t.Errorf("%s, %s: placed at %+v", b.file, p.Title, p.Grid)
			}
			places[at] = true
			for _, target := range p.Targets {
				if strings.Count(target.Expr, `instance=~"$instance"`) == 0 || target.Legend == "" {
					t.Errorf("%s, %s: %s is not of the chosen nodes, or has no legend", b.file, p.Title, target.Expr)
				}
			}
		}
		if b.file == "sessions.json" && !strings.Contains(b.text, `label_values(colloquy_session_cpu_seconds_total`) {
			t.Error("no conversation can be chosen in sessions.json")
		}
	}
}

func TestAlertsAskForWhatThereIs(t *testing.T) {
	t.Parallel()
	c := catalog(labelsOf(t))
	rules := readRules(t)
	tests, err := os.ReadFile(root + "/deploy/prometheus/rules_test.yml")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			n++
			for _, problem := range c.problems(r.Expr) {
				t.Errorf("%s: %s", r.Alert, problem)
			}
			if !strings.Contains(string(tests), "alertname: "+r.Alert+"\n") {
				t.Errorf("%s has no test", r.Alert)
			}
			if r.Annotations["summary"] == "" || r.Labels["severity"] != "page" && r.Labels["severity"] != "ticket" {
				t.Errorf("%s: summary %q, severity %q", r.Alert, r.Annotations["summary"], r.Labels["severity"])
			}
		}
	}
	if n < 10 {
		t.Errorf("%d alerts", n)
	}
}

func readRules(t *testing.T) *rulefmt.RuleGroups {
	t.Helper()
	rules, errs := rulefmt.ParseFile(root+"/deploy/prometheus/rules.yml", false, model.LegacyValidation)
	for _, err := range errs {
		t.Error(err)
	}
	if rules == nil {
		t.FailNow()
	}
	return rules
}

// TestTheCheckSeesMistakes: of names, of labels and of grammar.
func TestTheCheckSeesMistakes(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		"colloquy_no_such_total", `colloquy_anomalies_total{inbox="x"}`, "sum by (agent) (colloquy_anomalies_total)", "sum(", "colloquy_turn_duration_seconds",
	} {
		if len(catalog(labelsOf(t)).problems(bad)) == 0 {
			t.Errorf("%s passes", bad)
		}
	}
}
