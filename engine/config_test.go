package engine

import (
	"strings"
	"testing"
	"time"
)

func TestDefaultsAreValid(t *testing.T) {
	t.Parallel()
	c := DefaultConfig()
	if err := c.Validate(); err != nil {
		t.Fatalf("Validate() of the defaults = %v", err)
	}
}

// Each bad value is named by its key, and all of them are named together.
func TestValidateNamesEveryBadValue(t *testing.T) {
	t.Parallel()
	tests := []struct {
		key   string
		spoil func(*Config)
	}{
		{"data_dir", func(c *Config) { c.DataDir = "" }},
		{"listen", func(c *Config) { c.Listen = "" }},
		{"ops_listen", func(c *Config) { c.OpsListen = "9090" }},
		{"shutdown_grace", func(c *Config) { c.ShutdownGrace = 0 }},
		{"turns.budget", func(c *Config) { c.Turns.Budget = -time.Second }},
		{"turns.behavior_timeout", func(c *Config) { c.Turns.BehaviorTimeout = 0 }},
		{"turns.idle", func(c *Config) { c.Turns.Idle = 0 }},
		{"cluster.join", func(c *Config) { c.Cluster.Join = []string{"node1"} }},
		{"cluster.profile", func(c *Config) { c.Cluster.Profile = "slow" }},
		{"cluster.expect", func(c *Config) { c.Cluster.Expect = -1 }},
		{"cluster.voters", func(c *Config) { c.Cluster.Voters = 0 }},
		{"cluster.remove_dead", func(c *Config) { c.Cluster.RemoveDead = 0 }},
		{"cluster.cert_file", func(c *Config) { c.Cluster.CAFile = "ca.pem" }},
		{"cluster.key", func(c *Config) { c.Cluster.Listen, c.Cluster.Key = "127.0.0.1:7946", "secret" }},
		{"cluster.listen", func(c *Config) { c.Cluster.Listen = "7946" }},
		{"turns.snapshot_every", func(c *Config) { c.Turns.SnapshotEvery = 0 }},
		{"gateway: limits", func(c *Config) { c.Gateway.VisitorFrames = 0 }},
		{"gateway.loops", func(c *Config) { c.Gateway.Loops = -2 }},
		{"gateway.insecure_ingress", func(c *Config) { c.Gateway.InsecureIngress = "Not An Inbox" }},
		{"gateway.trusted_proxies", func(c *Config) { c.Gateway.TrustedProxies = []string{"10.0.0.0/33"} }},
		{"egress.allowed_cidrs", func(c *Config) { c.Egress.AllowedCIDRs = []string{"localhost"} }},
		{"journal", func(c *Config) { c.Journal.CacheBytes = 1 }},
		{"health.fsync_p99", func(c *Config) { c.Health.FsyncP99 = 0 }},
		{"log", func(c *Config) { c.Log.Level = "loud" }},
		{"intent.backend", func(c *Config) { c.Intent.Backend = "onnx" }},
		{"intent.shadow", func(c *Config) { c.Intent.Shadow = "bert" }},
		{"intent.shadow_inboxes", func(c *Config) { c.Intent.ShadowInboxes = []string{"No Inbox"} }},
		{"intent.http.url", func(c *Config) { c.Intent.HTTP.URL = "https://user:secret@nlu.example" }},
		{"intent.http.timeout", func(c *Config) { c.Intent.HTTP.Timeout = 2 * time.Second }},
		{"intent.http.batch", func(c *Config) { c.Intent.HTTP.Batch = 65 }},
		{"intent.http.inflight", func(c *Config) { c.Intent.HTTP.Queue = 0 }},
		{"intent.http.foreign", func(c *Config) { c.Intent.HTTP.Foreign = "take" }},
		{"intent.http.calibration", func(c *Config) { c.Intent.HTTP.Calibration = []string{"high"} }},
		{"assist.url", func(c *Config) { c.Assist.URL, c.Assist.Model = "models.example", "m" }},
		{"assist.timeout", func(c *Config) { c.Assist.Timeout = time.Minute }},
		{"assist.messages", func(c *Config) { c.Assist.Messages = 0 }},
		{"assist.per_minute", func(c *Config) { c.Assist.PerMinute = 0 }},
	}
	all := DefaultConfig()
	for _, tt := range tests {
		c := DefaultConfig()
		tt.spoil(&c)
		tt.spoil(&all)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), tt.key) {
			t.Errorf("Validate() with a bad %s = %v, want an error that names it", tt.key, err)
		}
	}
	err := all.Validate()
	if err == nil {
		t.Fatal("Validate() of a configuration in which everything is bad = nil")
	}
	for _, tt := range tests {
		if !strings.Contains("\n"+err.Error(), "\n"+tt.key) {
			t.Errorf("Validate() does not name %s among all bad values:\n%v", tt.key, err)
		}
	}
}

// What belongs together is demanded together.
func TestValidateBackends(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		set  func(*Config)
		want string // empty = valid
	}{
		{"http without a URL", func(c *Config) { c.Intent.Backend = BackendHTTP }, "intent.http.url"},
		{"a shadow without a URL", func(c *Config) { c.Intent.Shadow = BackendHTTP }, "intent.http.url"},
		{"a shadow of itself", func(c *Config) { c.Intent.Shadow = BackendBuiltin }, "intent.shadow"},
		{"http", func(c *Config) { c.Intent.Backend, c.Intent.HTTP.URL = BackendHTTP, "http://127.0.0.1:8090" }, ""},
		{"http beside builtin", func(c *Config) { c.Intent.Shadow, c.Intent.HTTP.URL = BackendHTTP, "https://nlu.example/a" }, ""},
		{"builtin beside http", func(c *Config) {
			c.Intent.Backend, c.Intent.Shadow, c.Intent.HTTP.URL = BackendHTTP, BackendBuiltin, "http://localhost:8090"
		}, ""},
		{"a model without a name", func(c *Config) { c.Assist.URL = "http://127.0.0.1:11434/v1" }, "assist.model"},
	}
	for _, tt := range tests {
		c := DefaultConfig()
		tt.set(&c)
		err := c.Validate()
		if (tt.want == "") != (err == nil) || err != nil && !strings.HasPrefix(err.Error(), tt.want+":") {
			t.Errorf("%s: Validate() = %v, want %q", tt.name, err, tt.want)
		}
	}
}

// The same mistakes are told in the same order every time.
func TestValidateIsStable(t *testing.T) {
	t.Parallel()
	text := func() string {
		c := DefaultConfig()
		c.Listen, c.OpsListen, c.ShutdownGrace = "x", "y", 0
		c.Turns, c.Health.FsyncP99 = TurnsConfig{}, 0
		return c.Validate().Error()
	}
	first := text()
	for range 20 {
		if again := text(); again != first {
			t.Fatalf("Validate() = %q, and then %q", first, again)
		}
	}
}

func TestPrefixes(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{
		{"10.1.2.3/8", "10.0.0.0/8"},
		{"192.168.1.1", "192.168.1.1/32"},
		{"::1", "::1/128"},
		{"fd00::/8", "fd00::/8"},
		{"::ffff:10.0.0.0/104", "10.0.0.0/8"},
		{"::ffff:10.1.2.3", "10.1.2.3/32"},
		{"example.com", ""},
		{"10.0.0.0/40", ""},
		{"", ""},
	}
	for _, tt := range tests {
		got, err := prefixes([]string{tt.in})
		if tt.want == "" {
			if err == nil {
				t.Errorf("prefixes(%q) = %v, want an error", tt.in, got)
			}
			continue
		}
		if err != nil || got[0].String() != tt.want {
			t.Errorf("prefixes(%q) = %v, %v, want %s", tt.in, got, err, tt.want)
		}
	}
}
