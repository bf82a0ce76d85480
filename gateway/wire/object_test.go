package wire

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/colloquyhq/colloquy/conversation"
)

func TestMembers(t *testing.T) {
	t.Parallel()
	many := func(last string) string {
		var b strings.Builder
		for i := range 3 * fewKeys {
			fmt.Fprintf(&b, `"k%d":%d,`, i, i)
		}
		return "{" + b.String() + last + "}"
	}
	errEach := errors.New("not this one")
	for _, tt := range []struct {
		name, data string
		want       []string // nil = refused
	}{
		{"in order, as they stand", ` {"b": 1.50 ,"a":"x\ny","c":{"d":[1, 2]},"e":null} `, []string{`b=1.50`, `a="x\ny"`, `c={"d":[1, 2]}`, `e=null`}},
		{"key unescaped", `{"\u0061b":true}`, []string{`ab=true`}},
		{"empty", `{}`, []string{}},
		{"a list", `[1]`, nil},
		{"nothing", ``, nil},
		{"broken and no object", `[1`, nil},
		{"something behind", `{"a":1} x`, nil},
		{"a key twice", `{"a":1,"b":2,"a":3}`, nil},
		{"a key twice, once escaped", `{"a":1,"\u0061":3}`, nil},
		{"a key twice inside", `{"a":{"b":1,"b":2}}`, nil},
		{"a key twice among many", many(`"k3":1`), nil},
		{"the ninth key twice", many(`"k8":1`), nil},
		{"too deep", `{"a":[[[[1]]]]}`, nil},
		{"not UTF-8", "{\"a\":\"\xff\"}", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := []string{}
			err := Members([]byte(tt.data), 4, func(key string, value []byte) error {
				got = append(got, key+"="+string(value))
				return nil
			})
			if tt.want == nil {
				if !errors.Is(err, conversation.ErrInvalid) {
					t.Errorf("Members = %v, want class invalid", err)
				}
				return
			}
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("Members = %q, %v; want %q", got, err, tt.want)
			}
		})
	}
	if err := Members([]byte(many(`"z":1`)), 4, func(string, []byte) error { return nil }); err != nil {
		t.Errorf("many different keys: %v", err)
	}
	if err := Members([]byte(`{"a":1}`), 4, func(string, []byte) error { return errEach }); !errors.Is(err, errEach) {
		t.Errorf("an error of each came as %v", err)
	}
}

func TestStringOf(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{`"a"`: "a", `""`: "", `"\u00e9\n\ud83d\ude00"`: "é\n😀", `"\ud83d"`: "\ufffd"} {
		if got, ok := StringOf([]byte(value)); !ok || got != want {
			t.Errorf("StringOf(%s) = %q, %v; want %q", value, got, ok, want)
		}
	}
	for _, value := range []string{"", "1", "null", "{}"} {
		if got, ok := StringOf([]byte(value)); ok {
			t.Errorf("StringOf(%s) = %q, want none", value, got)
		}
	}
}
