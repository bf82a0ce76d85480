package engine

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// envPrefix starts the variables that set a configuration value.
const envPrefix = "COLLOQUY_"

// maxConfigBytes bounds a configuration file.
const maxConfigBytes = 1 << 20

// LoadConfig gives the defaults, with the file's values above them and the
// environment's above those. An empty path means no file. A variable is named
// for its key: COLLOQUY_GATEWAY_TRUSTED_PROXIES sets gateway.trusted_proxies,
// lists are separated by commas, and with _FILE at the end it names a file that
// holds the value.
//
// Errors: an unknown key or variable, and everything that [Config.Validate]
// finds, joined.
func LoadConfig(path string, environ []string) (Config, error) {
	c := DefaultConfig()
	if path != "" {
		if err := readFile(path, &c); err != nil {
			return c, err
		}
	}
	if err := readEnvironment(environ, &c); err != nil {
		return c, err
	}
	return c, c.Validate()
}

func readFile(path string, c *Config) error {
	f, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(io.LimitReader(f, maxConfigBytes+1))
	if err != nil {
		return fmt.Errorf("configuration %s: %w", path, err)
	}
	if len(raw) > maxConfigBytes {
		return fmt.Errorf("configuration %s: over %d bytes", path, maxConfigBytes)
	}
	d := yaml.NewDecoder(bytes.NewReader(raw))
	d.KnownFields(true)
	if err := d.Decode(c); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("configuration %s: %w", path, err)
	}
	if err := d.Decode(&struct{}{}); !errors.Is(err, io.EOF) {
		return fmt.Errorf("configuration %s: holds more than one YAML document", path)
	}
	return nil
}

// Setting is one value of a [Config].
type Setting struct {
	Key    string // such as gateway.trusted_proxies
	Help   string
	secret bool
	value  reflect.Value
}

// Env gives the name of the variable that sets it.
func (s Setting) Env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(s.Key, ".", "_"))
}

// String gives the value as the environment would write it; of a secret it
// gives only that there is one.
func (s Setting) String() string {
	if s.secret && !s.value.IsZero() {
		return "(set)"
	}
	if list, ok := reflect.TypeAssert[[]string](s.value); ok {
		return strings.Join(list, ",")
	}
	return fmt.Sprint(s.value.Interface())
}

// Set reads the value from text.
func (s Setting) Set(text string) error {
	var err error
	switch v := s.value.Addr().Interface().(type) {
	case *time.Duration:
		*v, err = time.ParseDuration(text)
	case *[]string:
		*v = splitList(text)
	default:
		switch s.value.Kind() { //nolint:exhaustive // the kinds that Config has
		case reflect.String:
			s.value.SetString(text)
		case reflect.Bool:
			var b bool
			b, err = strconv.ParseBool(text)
			s.value.SetBool(b)
		case reflect.Int, reflect.Int64:
			var n int64
			n, err = strconv.ParseInt(text, 10, 64)
			s.value.SetInt(n)
		case reflect.Uint64:
			var n uint64
			n, err = strconv.ParseUint(text, 10, 64)
			s.value.SetUint(n)
		case reflect.Float64:
			var n float64
			n, err = strconv.ParseFloat(text, 64)
			s.value.SetFloat(n)
		default:
			err = errors.New("cannot be set as text")
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %q: %w", s.Key, text, err)
	}
	return nil
}

func splitList(text string) []string {
	var out []string
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

// Settings lists all values of c in the order of their declaration. Setting one
// changes c.
func (c *Config) Settings() []Setting { return settings(reflect.ValueOf(c).Elem(), "") }

func settings(v reflect.Value, prefix string) []Setting {
	var out []Setting
	for i := range v.NumField() {
		field := v.Type().Field(i)
		key := prefix + field.Tag.Get("yaml")
		if v.Field(i).Kind() == reflect.Struct {
			out = append(out, settings(v.Field(i), key+".")...)
			continue
		}
		out = append(out, Setting{Key: key, Help: field.Tag.Get("help"), secret: field.Tag.Get("secret") != "", value: v.Field(i)})
	}
	return out
}

// observerPrefix begins the variables of colloquy-ebpf, which may stand in the same file.
const observerPrefix = "COLLOQUY_EBPF_"

// otherVariables are names with our prefix that are not settings.
func otherVariables() []string {
	return []string{"COLLOQUY_CONFIG", "COLLOQUY_DEMO_PASSWORD", "COLLOQUY_DEMO_TOKEN"}
}

func readEnvironment(environ []string, c *Config) error {
	known := map[string]Setting{}
	for _, s := range c.Settings() {
		known[s.Env()] = s
	}
	var errs []error
	for _, pair := range slices.Sorted(slices.Values(environ)) {
		name, value, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, envPrefix) || strings.HasPrefix(name, observerPrefix) || slices.Contains(otherVariables(), name) {
			continue
		}
		s, ok := known[name]
		if base, file := strings.CutSuffix(name, "_FILE"); !ok && file {
			if value == "" {
				continue // a template that fills in nothing
			}
			if s, ok = known[base]; ok {
				raw, err := os.ReadFile(value) //nolint:gosec // the operator names the file
				if err != nil {
					errs = append(errs, fmt.Errorf("%s: %w", name, err))
					continue
				}
				value = strings.TrimSpace(string(raw))
			}
		}
		if !ok {
			errs = append(errs, fmt.Errorf("environment: %s is not known; the nearest is %s", name, nearest(name, known)))
			continue
		}
		if err := s.Set(value); err != nil {
			errs = append(errs, fmt.Errorf("environment: %w", err))
		}
	}
	return errors.Join(errs...)
}

// nearest helps with a misspelled variable: the known name that shares the
// longest start with it.
func nearest(name string, known map[string]Setting) string {
	best, length := "", -1
	for k := range known {
		n := 0
		for n < min(len(k), len(name)) && k[n] == name[n] {
			n++
		}
		if n > length || n == length && cmp.Less(k, best) {
			best, length = k, n
		}
	}
	return best
}

// WriteDefaults writes the default configuration as YAML with each value's help
// above it.
func WriteDefaults(w io.Writer) error {
	c := DefaultConfig()
	b := &strings.Builder{}
	var open []string // sections that the line before was in
	for _, s := range c.Settings() {
		path := strings.Split(s.Key, ".")
		sections, key := path[:len(path)-1], path[len(path)-1]
		for depth, name := range sections {
			if depth < len(open) && open[depth] == name {
				continue
			}
			if open = open[:min(depth, len(open))]; depth == 0 {
				fmt.Fprintln(b)
			}
			fmt.Fprintf(b, "%s%s:\n", strings.Repeat("  ", depth), name)
			open = append(open, name)
		}
		open = open[:len(sections)]
		indent := strings.Repeat("  ", len(sections))
		fmt.Fprintf(b, "%s# %s\n%s%s: %s\n", indent, s.Help, indent, key, s.yaml())
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (s Setting) yaml() string {
	switch v := s.value.Interface().(type) {
	case []string:
		return "[" + strings.Join(v, ", ") + "]"
	case string:
		return strconv.Quote(v)
	}
	if s.value.Kind() == reflect.String && s.value.Len() == 0 {
		return `""`
	}
	return s.String()
}
