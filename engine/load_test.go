package engine

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/telemetry"
)

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWrittenDefaultsLoadAsDefaults(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := WriteDefaults(&b); err != nil {
		t.Fatal(err)
	}
	c, err := LoadConfig(writeFile(t, "colloquy.yaml", b.String()), nil)
	if err != nil {
		t.Fatalf("LoadConfig of what WriteDefaults wrote: %v\n%s", err, b.String())
	}
	if diff := cmp.Diff(DefaultConfig(), normalized(c)); diff != "" {
		t.Errorf("defaults changed on the way (-want +got):\n%s", diff)
	}
	for _, s := range c.Settings() {
		if s.Help == "" || !strings.Contains(b.String(), "# "+s.Help) {
			t.Errorf("setting %s is not explained in the file", s.Key)
		}
	}
}

// normalized makes empty lists nil, as the defaults have them.
func normalized(c Config) Config {
	for _, list := range []*[]string{&c.Gateway.TrustedProxies, &c.Egress.AllowedCIDRs, &c.Cluster.Join, &c.Intent.ShadowInboxes, &c.Intent.HTTP.Calibration, &c.Attachments.Types} {
		if len(*list) == 0 {
			*list = nil
		}
	}
	return c
}

// What is printed for people to read and to send to each other holds no secret.
func TestSecretsAreNotPrinted(t *testing.T) {
	t.Parallel()
	key := cluster.NewKey()
	c, err := LoadConfig("", []string{"COLLOQUY_CLUSTER_LISTEN=127.0.0.1:7946", "COLLOQUY_CLUSTER_KEY=" + key})
	if err != nil {
		t.Fatal(err)
	}
	if c.Cluster.Key != key {
		t.Errorf("the key was read as %q", c.Cluster.Key)
	}
	for _, s := range c.Settings() {
		if strings.Contains(s.String(), key) {
			t.Errorf("setting %s prints the secret", s.Key)
		}
	}
}

func TestLoadConfigLayers(t *testing.T) {
	t.Parallel()
	file := writeFile(t, "c.yaml", "data_dir: from-file\nlisten: 127.0.0.1:1\ngateway:\n  trusted_proxies: [10.0.0.0/8]\nturns:\n  idle: 90s\n")
	secret := writeFile(t, "dir", " from-secret-file \n")
	c, err := LoadConfig(file, []string{
		"COLLOQUY_EBPF_STUCK=1m", // the observer's, not ours
		"PATH=/bin", "COLLOQUY_LISTEN=127.0.0.1:2", "COLLOQUY_GATEWAY_TRUSTED_PROXIES=192.168.0.0/16, ,10.1.1.1",
		"COLLOQUY_DATA_DIR_FILE=" + secret, "COLLOQUY_OPS_LISTEN=",
		"COLLOQUY_CONFIG=elsewhere", "COLLOQUY_DEMO_TOKEN=x",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := DefaultConfig()
	want.DataDir, want.Listen, want.OpsListen, want.Turns.Idle = "from-secret-file", "127.0.0.1:2", "", 90*time.Second
	want.Gateway.TrustedProxies = []string{"192.168.0.0/16", "10.1.1.1"}
	if diff := cmp.Diff(want, normalized(c)); diff != "" {
		t.Errorf("LoadConfig (-want +got):\n%s", diff)
	}
}

func TestLoadConfigRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		yaml    string
		environ []string
		want    []string
	}{
		{"unknown key", "listen: 127.0.0.1:1\nlissen: 127.0.0.1:2\n", nil, []string{"line 2", "lissen"}},
		{"unknown key in a section", "gateway:\n  trusted_proxies: []\n  connexions: 3\n", nil, []string{"line 3", "connexions"}},
		{"wrong type", "turns:\n  idle: soon\n", nil, []string{"line 2", "soon"}},
		{"not YAML", "listen: [\n", nil, []string{"line"}},
		{"two documents", "listen: 127.0.0.1:1\n---\nlisten: 127.0.0.1:2\n", nil, []string{"more than one YAML document"}},
		{"unknown variable", "", []string{"COLLOQUY_GATEWAY_CONECTIONS=3"}, []string{"COLLOQUY_GATEWAY_CONECTIONS", "COLLOQUY_GATEWAY_CONNECTIONS"}},
		{"unknown file variable", "", []string{"COLLOQUY_NOTHING_FILE=/dev/null"}, []string{"COLLOQUY_NOTHING_FILE"}},
		{"missing file of a variable", "", []string{"COLLOQUY_DATA_DIR_FILE=/does/not/exist"}, []string{"COLLOQUY_DATA_DIR_FILE", "/does/not/exist"}},
		{"bad duration", "", []string{"COLLOQUY_TURNS_IDLE=1"}, []string{"turns.idle", `"1"`}},
		{"bad number", "", []string{"COLLOQUY_GATEWAY_CONNECTIONS=many"}, []string{"gateway.connections"}},
		{"all variables at once", "", []string{"COLLOQUY_TURNS_IDLE=x", "COLLOQUY_OPS_PPROF=maybe", "COLLOQUY_XYZ=1"}, []string{"turns.idle", "ops_pprof", "COLLOQUY_XYZ"}},
		{"file and values at once", "data_dir: ''\nlisten: nowhere\n", nil, []string{"data_dir", "listen"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := LoadConfig(writeFile(t, "c.yaml", tt.yaml), tt.environ)
			if err == nil {
				t.Fatal("LoadConfig = nil, want an error")
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("LoadConfig = %v, want it to name %q", err, w)
				}
			}
		})
	}
	if _, err := LoadConfig("/does/not/exist.yaml", nil); err == nil {
		t.Error("LoadConfig of a missing file = nil, want an error")
	}
	if _, err := LoadConfig(writeFile(t, "big.yaml", "# "+strings.Repeat("x", maxConfigBytes)), nil); err == nil {
		t.Error("LoadConfig of a file that is too large = nil, want an error")
	}
}

// Every setting can be set as text to another valid value, reads back as it was
// written, and has a variable of its own.
func TestEverySettingTakesText(t *testing.T) {
	t.Parallel()
	c := DefaultConfig()
	variables := map[string]string{}
	for _, s := range c.Settings() {
		if other, ok := variables[s.Env()]; ok {
			t.Errorf("%s and %s have the same variable %s", s.Key, other, s.Env())
		}
		variables[s.Env()] = s.Key
		before := s.String()
		text := otherValue(t, s)
		if err := s.Set(text); err != nil {
			t.Errorf("%s.Set(%q) = %v", s.Key, text, err)
		}
		want := text
		if s.secret {
			want = "(set)"
		}
		if got := s.String(); got != want || got == before {
			t.Errorf("%s = %q after Set(%q), was %q, want %q", s.Key, got, text, before, want)
		}
	}
	d := DefaultConfig()
	for i, s := range d.Settings() {
		if s.String() == c.Settings()[i].String() {
			t.Errorf("%s was not changed by Set", s.Key)
		}
	}
}

func otherValue(t *testing.T, s Setting) string {
	t.Helper()
	switch s.value.Interface().(type) {
	case time.Duration:
		return "7m0s"
	case []string:
		return "10.0.0.0/8,192.168.0.0/16"
	case telemetry.LogFormat:
		return "text"
	}
	switch s.value.Kind() { //nolint:exhaustive // the default catches the rest
	case reflect.String:
		return "something-else"
	case reflect.Bool:
		return "true"
	case reflect.Int, reflect.Int64, reflect.Uint64, reflect.Float64:
		return "4242"
	default:
		t.Fatalf("%s is of a kind that no text sets: %s", s.Key, s.value.Kind())
		return ""
	}
}
