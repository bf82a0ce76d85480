package chaos

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestCutRules(t *testing.T) {
	t.Parallel()
	tests := []struct {
		d       direction
		percent int
		want    []string
		not     []string
	}{
		{bothWays, 100, []string{`input iifname "peer" drop`, `output oifname "peer" drop`}, []string{"random"}},
		{inbound, 100, []string{`input iifname "peer" drop`}, []string{"output"}},
		{outbound, 100, []string{`output oifname "peer" drop`}, []string{"input"}},
		{inbound, 30, []string{`input iifname "peer" numgen random mod 100 < 30 drop`}, []string{"output"}},
	}
	for _, tt := range tests {
		rules := cutRules(tt.d, tt.percent)
		for _, w := range tt.want {
			if !strings.Contains(rules, w) {
				t.Errorf("%s %d: %q lacks %q", tt.d, tt.percent, rules, w)
			}
		}
		for _, w := range tt.not {
			if strings.Contains(rules, w) {
				t.Errorf("%s %d: %q holds %q", tt.d, tt.percent, rules, w)
			}
		}
		if strings.Contains(rules, "client") {
			t.Errorf("%s %d: the clients' network is cut: %q", tt.d, tt.percent, rules)
		}
	}
}

// The packet filter itself takes the rules.
func TestRulesAreUnderstood(t *testing.T) {
	t.Parallel()
	nft, err := exec.LookPath("nft")
	if err != nil || os.Getuid() != 0 {
		t.Skip("needs nft and root")
	}
	for _, rules := range []string{cutRules(bothWays, 100), cutRules(inbound, 30), cutRules(outbound, 1), healRules()} {
		cmd := exec.CommandContext(t.Context(), nft, "-c", "-f", "-")
		cmd.Stdin = strings.NewReader(rules)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %s\n%s", err, out, rules)
		}
	}
}

func TestCablesKeepNodesApart(t *testing.T) {
	t.Parallel()
	text := strings.Join(cables(3, "/proc/1/task/7/ns/net"), "\n")
	for _, want := range []string{
		"c3 type veth peer name client netns /proc/1/task/7/ns/net", "c3 type bridge_slave isolated on", "c3 master clients", "p3 master peers",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q lacks %q", text, want)
		}
	}
	text = strings.Join(sockets(3), "\n")
	if !strings.Contains(text, "10.1.0.3/24 dev client") || !strings.Contains(text, "10.2.0.3/24 dev peer") {
		t.Errorf("sockets %q", text)
	}
}
