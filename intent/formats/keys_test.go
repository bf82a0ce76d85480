package formats

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"go.yaml.in/yaml/v3"

	"github.com/colloquyhq/colloquy/intent"
)

// A key that a pack may have and an export does not write would be lost
// unseen. The parser lists its keys when it meets one that it does not know.
func TestExportsWriteEveryKey(t *testing.T) {
	t.Parallel()
	full := load(t, []string{"full"}, map[string]string{"full/pack.yaml": everyKey})
	out, err := Write(&full, YAML)
	if err != nil {
		t.Fatal(err)
	}
	written := map[string]bool{}
	var doc yaml.Node
	if err := yaml.Unmarshal(out.Files[0].Content, &doc); err != nil {
		t.Fatal(err)
	}
	collectKeys(&doc, written)
	for place, content := range map[string]string{
		"a pack file": "zzz: 1\n",
		"thresholds":  "thresholds: {zzz: 1}\n",
		"an entity":   "entities: {e: {zzz: 1}}\n",
		"an intent":   "intents: [{id: a, zzz: 1}]\n",
		"a policy":    "intents: [{id: a, policy: {zzz: 1}}]\n",
		"a flow":      "flows: {f: {zzz: 1}}\n",
		"http":        "flows: {f: {http: {zzz: 1}}}\n",
	} {
		_, err := intent.Open(intent.Options{Builtin: fstest.MapFS{"p/pack.yaml": {Data: []byte("colloquy: 1\npack: p\n" + content)}}})
		if err == nil {
			t.Fatalf("%s: an unknown key was accepted", place)
		}
		m := regexp.MustCompile(`has no key "zzz"; its keys are ([a-z_, ]+)`).FindStringSubmatch(err.Error())
		if m == nil {
			t.Fatalf("%s: %v", place, err)
		}
		for key := range strings.SplitSeq(m[1], ", ") {
			// Layers are merged in an export, and margin means nothing yet.
			if gone := []string{"extends", "replace", "disabled", "margin"}; !written[key] && !slices.Contains(gone, key) {
				t.Errorf("%s may have the key %s, which an export does not write; it writes %v", place, key, slices.Sorted(maps.Keys(written)))
			}
		}
	}
}

func collectKeys(n *yaml.Node, into map[string]bool) {
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			into[c.Value] = true
			continue
		}
		collectKeys(c, into)
	}
}
