package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/template"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/colloquyhq/colloquy/cluster"
)

const chartDir = "../deploy/helm/colloquy"

// object is a Kubernetes object, or a part of one.
type object map[string]any

// at follows keys down into an object; nil where there is nothing.
func (o object) at(keys ...string) any {
	var v any = map[string]any(o)
	for _, k := range keys {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[k]
	}
	return v
}

// set puts a value where keys lead.
func (o object) set(v any, keys ...string) {
	m := map[string]any(o)
	for _, k := range keys[:len(keys)-1] {
		next, ok := m[k].(map[string]any)
		if !ok {
			next = map[string]any{}
			m[k] = next
		}
		m = next
	}
	m[keys[len(keys)-1]] = v
}

// list is at for lists of objects.
func (o object) list(keys ...string) []object {
	items, _ := o.at(keys...).([]any)
	var out []object
	for _, item := range items {
		if m, ok := item.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

// names are those of a list.
func names(list []object) []string {
	var out []string
	for _, o := range list {
		out = append(out, fmt.Sprint(o["name"]))
	}
	return out
}

func readYAML(t *testing.T, path string) map[string]any {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := yaml.Unmarshal(raw, &out); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return out
}

// renderChart does what `helm template demo` does, with those of Helm's functions
// that the chart uses. A value that values.yaml does not have is an error, which it
// is not for Helm.
func renderChart(t *testing.T, change func(values object)) map[string][]object {
	t.Helper()
	chart, values := readYAML(t, filepath.Join(chartDir, "Chart.yaml")), readYAML(t, filepath.Join(chartDir, "values.yaml"))
	change(values)
	data := map[string]any{
		"Values":  values,
		"Chart":   map[string]any{"Name": chart["name"], "Version": chart["version"], "AppVersion": chart["appVersion"]},
		"Release": map[string]any{"Name": "demo", "Namespace": "desk", "Service": "Helm"},
	}
	root := template.New("chart").Option("missingkey=error")
	root.Funcs(template.FuncMap{
		"include": func(name string, data any) (string, error) {
			var b strings.Builder
			err := root.ExecuteTemplate(&b, name, data)
			return b.String(), err
		},
		"toYaml": func(v any) (string, error) {
			b, err := yaml.Marshal(v)
			return strings.TrimSuffix(string(b), "\n"), err
		},
		"nindent": func(n int, s string) string {
			pad := "\n" + strings.Repeat(" ", n)
			return pad + strings.ReplaceAll(s, "\n", pad)
		},
		"quote":   func(v any) string { return fmt.Sprintf("%q", fmt.Sprint(v)) },
		"int":     func(v int) int { return v },
		"ternary": func(yes, no any, which bool) any { return map[bool]any{true: yes, false: no}[which] },
		"default": func(other, v string) string {
			if v == "" {
				return other
			}
			return v
		},
		"contains":   func(part, s string) bool { return strings.Contains(s, part) },
		"trunc":      func(n int, s string) string { return s[:min(n, len(s))] },
		"trimSuffix": func(suffix, s string) string { return strings.TrimSuffix(s, suffix) },
	})
	files, err := filepath.Glob(filepath.Join(chartDir, "templates", "*"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := root.ParseFiles(files...); err != nil {
		t.Fatal(err)
	}
	out := map[string][]object{}
	for _, f := range files {
		var b bytes.Buffer
		if err := root.ExecuteTemplate(&b, filepath.Base(f), data); err != nil {
			t.Fatal(err)
		}
		if filepath.Ext(f) != ".yaml" {
			continue
		}
		for docs := yaml.NewDecoder(&b); ; {
			var o map[string]any // nested maps get the type of the outermost
			if err := docs.Decode(&o); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", f, err)
			}
			if o != nil {
				kind := fmt.Sprint(o["kind"])
				out[kind] = append(out[kind], o)
			}
		}
	}
	return out
}

// What the chart makes is whole, with each of its switches: a node takes the
// settings that it is given, listens where others are told, finds its peers by the
// name that there is, and has the time that its end takes.
func TestChart(t *testing.T) {
	t.Parallel()
	usual := []string{"NetworkPolicy", "PodDisruptionBudget", "Service", "StatefulSet"}
	tests := map[string]struct {
		change func(object)
		kinds  []string
		expect int // cluster.expect
	}{
		"as it comes": {func(object) {}, usual, 3},
		"one node":    {func(v object) { v["replicaCount"] = 1 }, []string{"NetworkPolicy", "Service", "StatefulSet"}, 1},
		"everything": {func(v object) {
			some := map[string]any{"example.com/a": "b: c", "example.com/d": "e"}
			v.set(true, "serviceMonitor", "enabled")
			v.set(true, "ingress", "enabled")
			v.set("nginx", "ingress", "className")
			v.set("tls", "ingress", "tlsSecret")
			v.set(some, "ingress", "annotations")
			v.set("fast", "persistence", "storageClass")
			v.set(some, "service", "annotations")
			v["replicaCount"], v["podAnnotations"], v["nodeSelector"] = 5, some, some
			v["env"] = map[string]any{"COLLOQUY_GATEWAY_TRUSTED_PROXIES": "10.0.0.0/8"}
			v["tolerations"] = []any{map[string]any{"key": "a", "operator": "Exists"}}
			v["imagePullSecrets"] = []any{map[string]any{"name": "registry"}}
		}, append([]string{"Ingress", "ServiceMonitor"}, usual...), 3},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			made := renderChart(t, tt.change)
			if got := slices.Sorted(maps.Keys(made)); !slices.Equal(got, slices.Sorted(slices.Values(tt.kinds))) {
				t.Fatalf("objects %v, want %v", got, tt.kinds)
			}
			for kind, objects := range made {
				for _, o := range objects {
					if n, _ := o.at("metadata", "name").(string); o["apiVersion"] == nil || !strings.HasPrefix(n, "demo-colloquy") {
						t.Errorf("%s %q of version %v", kind, n, o["apiVersion"])
					}
				}
			}
			checkChart(t, made, tt.expect)
		})
	}
}

func checkChart(t *testing.T, made map[string][]object, expect int) {
	t.Helper()
	set := made["StatefulSet"][0]
	containers := set.list("spec", "template", "spec", "containers")
	if len(containers) != 1 {
		t.Fatalf("%d containers, want 1", len(containers))
	}
	node := containers[0]
	c := chartConfig(t, node)
	nodes := fmt.Sprintf("%s.desk.svc:7946", set.at("spec", "serviceName"))
	if !c.Cluster.Clustered() || c.Cluster.Expect != expect || !slices.Equal(c.Cluster.Join, []string{nodes}) {
		t.Errorf("cluster %+v, want one of %d that is joined by %s", c.Cluster, expect, nodes)
	}
	grace, err := time.ParseDuration(fmt.Sprint(set.at("spec", "template", "spec", "terminationGracePeriodSeconds"), "s"))
	if wait := drainWait(t, node); err != nil || grace <= c.ShutdownGrace+wait {
		t.Errorf("a node has %v to end, %v, a drain takes %v and the rest %v", grace, err, wait, c.ShutdownGrace)
	}
	ports := map[string]string{}
	for _, p := range node.list("ports") {
		ports[fmt.Sprint(p["name"])] = fmt.Sprintf(":%v", p["containerPort"])
	}
	link, err := beside(c.Cluster.LinkListen, c.Cluster.Listen, 1)
	grains, err2 := beside(c.Cluster.GrainListen, c.Cluster.Listen, 2)
	want := map[string]string{"http": c.Listen, "ops": c.OpsListen, "gossip": c.Cluster.Listen, "gossip-udp": c.Cluster.Listen, "link": link, "grains": grains}
	if err != nil || err2 != nil || !maps.Equal(ports, want) {
		t.Errorf("ports %v, the node listens on %v", ports, want)
	}
	for _, probe := range []string{"startupProbe", "livenessProbe", "readinessProbe"} {
		if node.at(probe, "httpGet", "port") != "ops" {
			t.Errorf("%s asks port %v", probe, node.at(probe, "httpGet", "port"))
		}
	}
	volumes := append(names(set.list("spec", "template", "spec", "volumes")), claims(set)...)
	for _, mount := range names(node.list("volumeMounts")) {
		if !slices.Contains(volumes, mount) {
			t.Errorf("volume %s is mounted, there are %v", mount, volumes)
		}
	}
	checkSelectors(t, made, set)
}

// chartConfig reads the environment of a node as the node does.
func chartConfig(t *testing.T, node object) Config {
	t.Helper()
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(cluster.NewKey()), 0o600); err != nil {
		t.Fatal(err)
	}
	var environ []string
	for _, v := range node.list("env") {
		if v["value"] == nil {
			continue // POD_IP, which Kubernetes knows
		}
		value := strings.ReplaceAll(fmt.Sprint(v["value"]), "$(POD_IP)", "10.0.0.7")
		if v["name"] == "COLLOQUY_CLUSTER_KEY_FILE" {
			if mounted := node.list("volumeMounts"); !slices.ContainsFunc(mounted, func(m object) bool { return strings.HasPrefix(value, fmt.Sprint(m["mountPath"], "/")) }) {
				t.Errorf("the key is at %s, where nothing is mounted", value)
			}
			value = key
		}
		environ = append(environ, fmt.Sprint(v["name"], "=", value))
	}
	c, err := LoadConfig("", environ)
	if err == nil {
		err = c.Validate()
	}
	if err != nil {
		t.Fatalf("a node does not take its environment %q: %v", environ, err)
	}
	return c
}

// drainWait is how long a node waits to be empty before it is told to end.
func drainWait(t *testing.T, node object) time.Duration {
	t.Helper()
	command, _ := node.at("lifecycle", "preStop", "exec", "command").([]any)
	at := slices.Index(command, any("--wait"))
	if at < 0 || at+1 >= len(command) {
		t.Fatalf("preStop runs %v, want a drain that waits", command)
	}
	d, err := time.ParseDuration(fmt.Sprint(command[at+1]))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func claims(set object) []string {
	var out []string
	for _, c := range set.list("spec", "volumeClaimTemplates") {
		out = append(out, fmt.Sprint(c.at("metadata", "name")))
	}
	return out
}

// checkSelectors holds what selects pods, and ports of them, with the pods.
func checkSelectors(t *testing.T, made map[string][]object, set object) {
	t.Helper()
	labels, _ := set.at("spec", "template", "metadata", "labels").(map[string]any)
	ports := names(set.list("spec", "template", "spec", "containers")[0].list("ports"))
	selects := func(what string, selector any) {
		m, _ := selector.(map[string]any)
		if len(m) == 0 {
			t.Errorf("%s selects nothing", what)
		}
		for k, v := range m {
			if labels[k] != v {
				t.Errorf("%s selects %s=%v, pods have %v", what, k, v, labels[k])
			}
		}
	}
	selects("the set", set.at("spec", "selector", "matchLabels"))
	for _, budget := range made["PodDisruptionBudget"] {
		selects("the budget", budget.at("spec", "selector", "matchLabels"))
	}
	headless := false
	for _, s := range made["Service"] {
		selects("a service", s.at("spec", "selector"))
		headless = headless || s.at("metadata", "name") == set.at("spec", "serviceName") && s.at("spec", "clusterIP") == "None" && s.at("spec", "publishNotReadyAddresses") == true
		for _, p := range s.list("spec", "ports") {
			if to := p["targetPort"]; to != nil && !slices.Contains(ports, fmt.Sprint(to)) {
				t.Errorf("a service leads to port %v, pods have %v", to, ports)
			}
		}
	}
	if !headless {
		t.Errorf("no service gives the addresses of nodes that are not ready under %v", set.at("spec", "serviceName"))
	}
	for _, policy := range made["NetworkPolicy"] {
		selects("the policy", policy.at("spec", "podSelector", "matchLabels"))
		var open []string
		for _, rule := range policy.list("spec", "ingress") {
			for _, p := range rule.list("ports") {
				open = append(open, fmt.Sprint(p["port"]))
			}
		}
		if slices.Sort(open); !slices.Equal(open, slices.Sorted(slices.Values(ports))) {
			t.Errorf("the policy knows ports %v, pods have %v", open, ports)
		}
	}
}
