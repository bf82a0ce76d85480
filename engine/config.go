package engine

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/intent/remote"
	"github.com/colloquyhq/colloquy/telemetry"
	"github.com/colloquyhq/colloquy/telemetry/cpu"
)

// Config is what an operator may set, in a YAML file, by COLLOQUY_… variables
// and by flags. Each value's doc is also what `colloquy default-config` prints.
type Config struct {
	DataDir       string        `yaml:"data_dir" help:"Where the journal is. One process at a time."`
	Listen        string        `yaml:"listen" help:"Address of the API, the WebSockets and the pages. Put TLS in front of it."`
	OpsListen     string        `yaml:"ops_listen" help:"Address of /metrics, /livez, /readyz and /status; empty = none. Keep it private."`
	OpsPprof      bool          `yaml:"ops_pprof" help:"Also serve /debug/pprof on the operations address."`
	ShutdownGrace time.Duration `yaml:"shutdown_grace" help:"At SIGTERM, clients are told to come back spread over a part of this time, and everything ends within it."`

	Log         LogConfig         `yaml:"log"`
	Packs       PacksConfig       `yaml:"packs"`
	Intent      IntentConfig      `yaml:"intent"`
	Assist      AssistConfig      `yaml:"assist"`
	Gateway     GatewayConfig     `yaml:"gateway"`
	Channels    ChannelsConfig    `yaml:"channels"`
	Attachments AttachmentsConfig `yaml:"attachments"`
	Egress      EgressConfig      `yaml:"egress"`
	Turns       TurnsConfig       `yaml:"turns"`
	Cluster     ClusterConfig     `yaml:"cluster"`
	Journal     JournalConfig     `yaml:"journal"`
	CPU         CPUConfig         `yaml:"cpu"`
	Unusual     AnomalyConfig     `yaml:"anomalies"`
	Health      HealthConfig      `yaml:"health"`
	Tracing     TracingConfig     `yaml:"tracing"`
}

// LogConfig is how the log is written.
type LogConfig struct {
	Format telemetry.LogFormat `yaml:"format" help:"json or text."`
	Level  string              `yaml:"level" help:"debug, info, warn or error."`
}

// PacksConfig is where intents come from.
type PacksConfig struct {
	Dir string `yaml:"dir" help:"Folder with the operator's own packs, watched for changes; empty = the built-in packs only."`
}

// IntentConfig is who understands what visitors write.
type IntentConfig struct {
	Backend       IntentBackend    `yaml:"backend" help:"builtin: the packs' own model; http: a server of yours, with the packs' model wherever that does not answer."`
	Shadow        IntentBackend    `yaml:"shadow" help:"A backend that understands as well, answers nobody, and is compared: http beside builtin, or builtin beside http; empty = none."`
	ShadowInboxes []string         `yaml:"shadow_inboxes" help:"Inboxes in which intent.shadow is compared; empty = all."`
	HTTP          IntentHTTPConfig `yaml:"http"`
}

// IntentBackend is a kind of intent engine.
type IntentBackend string

// The backends.
const (
	BackendNone    IntentBackend = ""
	BackendBuiltin IntentBackend = "builtin"
	BackendHTTP    IntentBackend = "http"
)

// IntentHTTPConfig is how an intent engine of one's own is asked.
type IntentHTTPConfig struct {
	URL         string        `yaml:"url" help:"Where the server is, such as http://127.0.0.1:8090; /v1/classify is added. An address that stands here itself may be private; a name must lead to a public one, or into egress.allowed_cidrs."`
	Token       string        `yaml:"token" secret:"true" help:"Sent as a bearer token. Better as COLLOQUY_INTENT_HTTP_TOKEN_FILE."`
	Timeout     time.Duration `yaml:"timeout" help:"An utterance that is not answered by then is answered by the packs' model; at most 1.5s."`
	Batch       int           `yaml:"batch" help:"Utterances in a request; they come together only while others are on their way."`
	InFlight    int           `yaml:"inflight" help:"Requests at a time."`
	Queue       int           `yaml:"queue" help:"Utterances that may wait for a request; the packs' model answers those beyond."`
	Foreign     string        `yaml:"foreign" help:"What becomes of intents that the packs do not have: refuse the whole answer, or drop them and take the others."`
	Calibration []string      `yaml:"calibration" help:"What the server's confidences are worth: rising points stated:real, such as 0.5:0.3,0.9:0.8, from colloquy intent conformance --data; empty = they are taken as they are."`
}

// AssistConfig is the model that drafts replies for agents.
type AssistConfig struct {
	URL       string        `yaml:"url" help:"An endpoint that speaks OpenAI's protocol, such as http://127.0.0.1:11434/v1; /chat/completions is added; empty = agents get no drafts. Private addresses are as for intent.http.url."`
	Model     string        `yaml:"model" help:"Name of the model there."`
	Token     string        `yaml:"token" secret:"true" help:"Sent as a bearer token. Better as COLLOQUY_ASSIST_TOKEN_FILE."`
	Timeout   time.Duration `yaml:"timeout" help:"A draft that takes longer has failed; at most 14s."`
	Messages  int           `yaml:"messages" help:"So many of the newest messages are shown to the model, without the values that packs mask; notes never."`
	PerMinute float64       `yaml:"per_minute" help:"Drafts an agent may ask for in a minute."`
}

// GatewayConfig is what the edge allows.
type GatewayConfig struct {
	PublicURL       string   `yaml:"public_url" help:"Address under which visitors and providers reach this server, such as https://support.example.com; empty = none, and files are not sent as links."`
	TrustedProxies  []string `yaml:"trusted_proxies" help:"Networks whose X-Forwarded-For counts, such as 10.0.0.0/8."`
	InsecureIngress string   `yaml:"insecure_ingress" help:"Inbox that takes POST /webhook without a credential; empty = a credential is always needed."`
	Connections     int      `yaml:"connections" help:"Sockets this node takes."`
	ConnectionsIP   int      `yaml:"connections_per_ip" help:"Sockets one address may have."`
	HandshakesIP    float64  `yaml:"handshakes_per_ip" help:"New sockets one address may open in a second."`
	SessionsIP      float64  `yaml:"sessions_per_minute" help:"New visitors one address may bring in a minute."`
	VisitorFrames   float64  `yaml:"visitor_frames_per_second" help:"Frames a visitor may send in a second."`
	QueuedBytes     int64    `yaml:"queued_bytes" help:"Bytes that may wait for the sockets of this node to take them; beyond, those that hold most are closed, and come back."`
	Loops           int      `yaml:"loops" help:"Event loops that serve the sockets; 0 = one for each processor, -1 = none, every socket has goroutines of its own."`
}

// ChannelsConfig is how accounts with providers are kept.
type ChannelsConfig struct {
	Key string `yaml:"key" secret:"true" help:"Encrypts the secrets of accounts with providers: 32 random bytes as text, such as from openssl rand -base64 32, the same on all nodes; empty = no such accounts. Better as COLLOQUY_CHANNELS_KEY_FILE."`
}

// EgressConfig is where the server itself may connect to for flows and
// callbacks.
type EgressConfig struct {
	AllowedCIDRs []string `yaml:"allowed_cidrs" help:"Private networks that flows and callbacks may reach; public addresses are always allowed."`
}

// TurnsConfig is the time a turn may take.
type TurnsConfig struct {
	Budget          time.Duration `yaml:"budget" help:"A message is held back for the classifier so long, so that message and reply are stored together."`
	BehaviorTimeout time.Duration `yaml:"behavior_timeout" help:"A behavior or flow that takes longer has failed, and a human takes over."`
	Idle            time.Duration `yaml:"idle" help:"A conversation leaves memory after so long without a message."`
	SnapshotEvery   int           `yaml:"snapshot_every" help:"Events between stored snapshots of a conversation."`
}

// ClusterConfig is how several nodes become one service.
type ClusterConfig struct {
	Listen      string         `yaml:"listen" help:"Address for the other nodes, such as 10.0.0.1:7946; empty = this node is alone. The two ports after it are used as well. Never open them to the world."`
	LinkListen  string         `yaml:"link_listen" help:"Address of the journal's link; empty = the port after cluster.listen."`
	GrainListen string         `yaml:"grain_listen" help:"Address of the messages between conversations; empty = the second port after cluster.listen."`
	Advertise   string         `yaml:"advertise" help:"Host under which the other nodes reach this one; empty = the host of cluster.listen."`
	Name        string         `yaml:"name" help:"Name of the cluster; nodes of another name are strangers."`
	Key         string         `yaml:"key" secret:"true" help:"Secret that all nodes share, from colloquy cluster key. Better as COLLOQUY_CLUSTER_KEY_FILE."`
	Join        []string       `yaml:"join" help:"Addresses of nodes to find the others by: host:port of their cluster.listen. A name stands for all its addresses."`
	SeedsFile   string         `yaml:"seeds_file" help:"File with further such addresses, one a line, read again as long as nobody is found; empty = cluster.seeds in data_dir."`
	Expect      int            `yaml:"expect" help:"So many new nodes that see each other found a cluster; 0 = join one, or found one alone when there is nobody to join by."`
	Voters      int            `yaml:"voters" help:"So many nodes at most decide what is durable; the others keep a full copy without a vote."`
	RemoveDead  time.Duration  `yaml:"remove_dead" help:"A node that is gone for so long loses its vote, if that is safe."`
	Profile     ClusterProfile `yaml:"profile" help:"A node whose process has ended is noticed at once with either. One that is frozen or out of reach is given up after 3 to 7 s by fast; careful takes about 7 s, and tolerates slow networks and machines."`
	CertFile    string         `yaml:"cert_file" help:"Own certificate for the links between nodes; empty = one derived from the key."`
	CertKeyFile string         `yaml:"cert_key_file" help:"Key of that certificate."`
	CAFile      string         `yaml:"ca_file" help:"Authorities that sign the nodes' certificates."`
}

// Clustered reports whether the node has others beside it.
func (c *ClusterConfig) Clustered() bool { return c.Listen != "" }

// ClusterProfile says how quickly a node that does not answer is given up.
type ClusterProfile string

// The profiles.
const (
	ProfileFast    ClusterProfile = "fast"
	ProfileCareful ClusterProfile = "careful"
)

// JournalConfig sizes the store.
type JournalConfig struct {
	CacheBytes    int64 `yaml:"cache_bytes" help:"Block cache, beside up to two memtables."`
	MemTableBytes int64 `yaml:"memtable_bytes" help:"One memtable; up to four are in memory."`
}

// HealthConfig is when a node calls itself not ready.
type HealthConfig struct {
	FsyncP99      time.Duration `yaml:"fsync_p99" help:"The disk is too slow above this."`
	Lag           time.Duration `yaml:"lag" help:"A node that has not heard of the leader for longer shows old things."`
	DiskFreeBytes uint64        `yaml:"disk_free_bytes" help:"The disk is too full below this."`
}

// maxLoops bounds gateway.loops: more would not find processors.
const maxLoops = 1024

// minQueuedBytes is what a handful of clients need that read history.
const minQueuedBytes = 1 << 20

// DefaultConfig gives the settings of a node that nobody has configured.
func DefaultConfig() Config {
	return Config{
		DataDir: "data", Listen: "127.0.0.1:8080", OpsListen: "127.0.0.1:9090", ShutdownGrace: 20 * time.Second,
		Log:     LogConfig{Format: telemetry.LogJSON, Level: "info"},
		Gateway: GatewayConfig{Connections: 100_000, ConnectionsIP: 256, HandshakesIP: 20, SessionsIP: 60, VisitorFrames: 20, QueuedBytes: 256 << 20},
		Intent: IntentConfig{Backend: BackendBuiltin, HTTP: IntentHTTPConfig{
			Timeout: 300 * time.Millisecond, Batch: 16, InFlight: 4, Queue: 256, Foreign: string(remote.ForeignRefuse),
		}},
		Attachments: defaultAttachments(),
		Assist:      AssistConfig{Timeout: 12 * time.Second, Messages: 12, PerMinute: 10},
		Turns:       TurnsConfig{Budget: 5 * time.Millisecond, BehaviorTimeout: 10 * time.Second, Idle: 5 * time.Minute, SnapshotEvery: 128},
		Cluster:     ClusterConfig{Name: "colloquy", Voters: 5, RemoveDead: 10 * time.Minute, Profile: ProfileCareful},
		Journal:     JournalConfig{CacheBytes: 64 << 20, MemTableBytes: 64 << 20},
		CPU:         CPUConfig{Accounting: cpu.Exact, Every: 16, Top: 100},
		Unusual:     AnomalyConfig{SlowFrom: 50 * time.Millisecond, CostlyFrom: 5 * time.Millisecond, BotTurns: 50},
		Health:      HealthConfig{FsyncP99: 500 * time.Millisecond, Lag: 5 * time.Second, DiskFreeBytes: 256 << 20},
		Tracing:     TracingConfig{Spans: 64 << 10, KeepPerSecond: 20, Keep: 2_000, KeepBytes: 64 << 20},
	}
}

// Validate reports everything that is wrong, at once.
func (c *Config) Validate() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
	}
	if c.DataDir == "" {
		bad("data_dir", "a folder is needed")
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		bad("listen", "%q is no host:port", c.Listen)
	}
	if _, _, err := net.SplitHostPort(c.OpsListen); err != nil && c.OpsListen != "" {
		bad("ops_listen", "%q is no host:port", c.OpsListen)
	}
	for _, d := range []struct {
		key string
		is  time.Duration
	}{
		{"shutdown_grace", c.ShutdownGrace},
		{"turns.budget", c.Turns.Budget},
		{"turns.behavior_timeout", c.Turns.BehaviorTimeout},
		{"turns.idle", c.Turns.Idle},
		{"health.fsync_p99", c.Health.FsyncP99},
		{"health.lag", c.Health.Lag},
	} {
		if d.is <= 0 {
			bad(d.key, "must be above zero, such as 5s")
		}
	}
	c.Cluster.validate(bad)
	c.Intent.validate(bad)
	c.Assist.validate(bad)
	c.Attachments.validate(bad)
	if why := checkPublicURL(c.Gateway.PublicURL); c.Gateway.PublicURL != "" && why != "" {
		bad("gateway.public_url", "%s", why)
	}
	c.Tracing.validate(bad)
	if c.Turns.SnapshotEvery < 1 {
		bad("turns.snapshot_every", "must be at least 1")
	}
	if c.Gateway.Connections < 1 || c.Gateway.ConnectionsIP < 1 || c.Gateway.HandshakesIP <= 0 || c.Gateway.SessionsIP <= 0 || c.Gateway.VisitorFrames <= 0 {
		bad("gateway", "limits must be above zero")
	}
	if c.Gateway.QueuedBytes < minQueuedBytes {
		bad("gateway.queued_bytes", "must be at least %d", minQueuedBytes)
	}
	if c.Gateway.Loops < -1 || c.Gateway.Loops > maxLoops {
		bad("gateway.loops", "must be -1, 0 or at most %d", maxLoops)
	}
	if c.Gateway.InsecureIngress != "" {
		if _, err := conversation.ParseInboxID(c.Gateway.InsecureIngress); err != nil {
			bad("gateway.insecure_ingress", "%v", err)
		}
	}
	if _, err := channels.NewVault(c.Channels.Key); err != nil {
		bad("channels.key", "%s", detail(err))
	}
	if c.Journal.CacheBytes < 1<<20 || c.Journal.MemTableBytes < 1<<20 {
		bad("journal", "cache_bytes and memtable_bytes must be at least 1 MiB")
	}
	if c.Unusual.SlowFrom <= 0 || c.Unusual.CostlyFrom <= 0 || c.Unusual.BotTurns <= 0 {
		bad("anomalies", "slow_from, costly_from and bot_turns must be positive")
	}
	costs := c.CPU.options()
	if err := costs.Validate(); err != nil {
		bad("cpu", "%v", err)
	}
	if _, err := prefixes(c.Gateway.TrustedProxies); err != nil {
		bad("gateway.trusted_proxies", "%v", err)
	}
	if _, err := prefixes(c.Egress.AllowedCIDRs); err != nil {
		bad("egress.allowed_cidrs", "%v", err)
	}
	if _, err := telemetry.NewLogger(nil, c.Log.Format, c.Log.Level); err != nil {
		bad("log", "%v", err)
	}
	return errors.Join(errs...)
}

// detail gives what an error says beyond its code.
func detail(err error) string {
	if e := (*conversation.Error)(nil); errors.As(err, &e) && e.Detail != "" {
		return e.Detail
	}
	return err.Error()
}

func (c *IntentConfig) validate(bad func(key, format string, args ...any)) {
	if c.Backend != BackendBuiltin && c.Backend != BackendHTTP {
		bad("intent.backend", "%q is neither builtin nor http", c.Backend)
	}
	if c.Shadow != BackendNone && c.Shadow != BackendBuiltin && c.Shadow != BackendHTTP {
		bad("intent.shadow", "%q is neither builtin nor http", c.Shadow)
	} else if c.Shadow == c.Backend {
		bad("intent.shadow", "%s is what answers already", c.Shadow)
	}
	for _, s := range c.ShadowInboxes {
		if _, err := conversation.ParseInboxID(s); err != nil {
			bad("intent.shadow_inboxes", "%v", err)
		}
	}
	h := &c.HTTP
	if c.usesHTTP() || h.URL != "" {
		if _, err := remote.ParseURL(h.URL); err != nil {
			bad("intent.http.url", "%v", err)
		}
	}
	if h.Timeout <= 0 || h.Timeout > maxIntentTimeout {
		bad("intent.http.timeout", "must be above zero and at most %v", maxIntentTimeout)
	}
	if h.Batch < 1 || h.Batch > remote.MaxBatch {
		bad("intent.http.batch", "must be 1 to %d", remote.MaxBatch)
	}
	if h.InFlight < 1 || h.InFlight > egressPerHost || h.Queue < 1 || h.Queue > maxIntentQueue {
		bad("intent.http.inflight", "must be 1 to %d, and intent.http.queue 1 to %d", egressPerHost, maxIntentQueue)
	}
	if f := remote.Foreign(h.Foreign); f != remote.ForeignRefuse && f != remote.ForeignDrop {
		bad("intent.http.foreign", "%q is neither refuse nor drop", h.Foreign)
	}
	if _, err := remote.ParseCalibration(h.Calibration); err != nil {
		bad("intent.http.calibration", "%v", err)
	}
}

// usesHTTP reports whether anything is asked over HTTP.
func (c *IntentConfig) usesHTTP() bool { return c.Backend == BackendHTTP || c.Shadow == BackendHTTP }

const (
	// turnTimeout is how long a turn waits for a prediction, and maxIntentTimeout
	// leaves enough of it to fall back in.
	turnTimeout      = 2 * time.Second
	maxIntentTimeout = 1500 * time.Millisecond
	maxIntentQueue   = 4096
	// maxAssistTimeout leaves a request, which has 15 s, the time to answer.
	maxAssistTimeout  = 14 * time.Second
	maxAssistMessages = 50
)

func (c *AssistConfig) validate(bad func(key, format string, args ...any)) {
	if c.URL != "" {
		if _, err := remote.ParseURL(c.URL); err != nil {
			bad("assist.url", "%v", err)
		}
		if c.Model == "" {
			bad("assist.model", "a name is needed")
		}
	}
	if c.Timeout <= 0 || c.Timeout > maxAssistTimeout {
		bad("assist.timeout", "must be above zero and at most %v", maxAssistTimeout)
	}
	if c.Messages < 1 || c.Messages > maxAssistMessages {
		bad("assist.messages", "must be 1 to %d", maxAssistMessages)
	}
	if c.PerMinute <= 0 {
		bad("assist.per_minute", "must be above zero")
	}
}

func (c *ClusterConfig) validate(bad func(key, format string, args ...any)) {
	for _, a := range []struct{ key, value string }{
		{"cluster.listen", c.Listen}, {"cluster.link_listen", c.LinkListen}, {"cluster.grain_listen", c.GrainListen},
	} {
		if _, _, err := net.SplitHostPort(a.value); err != nil && a.value != "" {
			bad(a.key, "%q is no host:port", a.value)
		}
	}
	for _, address := range c.Join {
		if _, _, err := net.SplitHostPort(address); err != nil {
			bad("cluster.join", "%q is no host:port", address)
		}
	}
	if c.Profile != ProfileFast && c.Profile != ProfileCareful {
		bad("cluster.profile", "%q is neither fast nor careful", c.Profile)
	}
	if c.Expect < 0 || c.Expect > maxExpect {
		bad("cluster.expect", "must be 0 to %d", maxExpect)
	}
	if c.Voters < 1 || c.Voters > maxVoters || c.Voters%2 == 0 {
		bad("cluster.voters", "must be an odd number up to %d", maxVoters)
	}
	if c.RemoveDead < minRemoveDead {
		bad("cluster.remove_dead", "must be at least %v", minRemoveDead)
	}
	if given := []string{c.CertFile, c.CertKeyFile, c.CAFile}; slices.Contains(given, "") && slices.ContainsFunc(given, func(s string) bool { return s != "" }) {
		bad("cluster.cert_file", "cert_file, cert_key_file and ca_file are given together or not at all")
	}
	if !c.Clustered() {
		if len(c.Join) > 0 || c.Expect > 0 {
			bad("cluster.listen", "must be set to join or found a cluster")
		}
		return
	}
	if err := cluster.CheckKey(c.Key); err != nil {
		bad("cluster.key", "%s; `colloquy cluster key` makes one", detail(err))
	}
	if c.Name == "" {
		bad("cluster.name", "a name is needed")
	}
}

// The limits of a cluster in the configuration.
const (
	maxExpect     = 9
	maxVoters     = 7
	minRemoveDead = 10 * time.Second
)

// Seeds gives the file with further addresses to join by.
func (c *ClusterConfig) Seeds(dataDir string) string {
	if c.SeedsFile != "" {
		return c.SeedsFile
	}
	return filepath.Join(dataDir, "cluster.seeds")
}

// prefixes reads networks; a bare address is the network of that one.
func prefixes(texts []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range texts {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			a, aerr := netip.ParseAddr(s)
			if aerr != nil {
				return nil, fmt.Errorf("%q is no network such as 10.0.0.0/8", s)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		out = append(out, unmapped(p).Masked())
	}
	return out, nil
}

// unmapped writes an IPv4 network that was written in IPv6 as what it is.
// Addresses are compared in that form, so the other would never match.
func unmapped(p netip.Prefix) netip.Prefix {
	const mapped = 96 // bits before the IPv4 address
	if p.Addr().Is4In6() && p.Bits() >= mapped {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mapped)
	}
	return p
}
