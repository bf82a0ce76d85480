package main

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"

	"github.com/colloquyhq/colloquy/engine"
)

const configIntro = `# Configuration

<!-- made by go run ./docs/gen; change engine/config.go instead -->

Each setting can stand in the YAML file under its key, in the environment under its
variable (or in a file that the variable with ` + "`_FILE`" + ` at its end names), and on the
command line as ` + "`--set key=value`" + `; the later wins. Durations are written like ` + "`5s`" + ` or
` + "`2m`" + `, lists in the environment with commas. How they are read stands in
[operations.md](operations.md#configuration).

| key | default | meaning | variable |
|---|---|---|---|
`

// configPage lists the settings in the order of their declaration.
func configPage() []byte {
	var b bytes.Buffer
	b.WriteString(configIntro)
	defaults := engine.DefaultConfig()
	for _, s := range defaults.Settings() {
		value := s.String()
		if short, ok := strings.CutSuffix(value, "m0s"); ok {
			value = short + "m" // as people write it
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | `%s` |\n", s.Key, cmp.Or(value, "–"), strings.ReplaceAll(s.Help, "|", `\|`), s.Env())
	}
	return b.Bytes()
}
