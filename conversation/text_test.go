package conversation

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestTextCheck(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text Text
		want Code
	}{
		"plain":                {text: "hello"},
		"one letter":           {text: "a"},
		"Chinese":              {text: "你好，在吗？"},
		"emoji":                {text: "👍🏽"},
		"right to left":        {text: "שלום"},
		"lines and tabs":       {text: "a\r\n\tb\n"},
		"as long as may be":    {text: Text(strings.Repeat("x", MaxTextBytes))},
		"too long":             {text: Text(strings.Repeat("x", MaxTextBytes+1)), want: CodeTextTooLong},
		"too long in bytes":    {text: Text(strings.Repeat("好", MaxTextBytes/3+1)), want: CodeTextTooLong},
		"too long and bad":     {text: Text(strings.Repeat("\xff", MaxTextBytes+1)), want: CodeTextTooLong},
		"empty":                {text: "", want: CodeEmptyText},
		"spaces":               {text: " \t\r\n ", want: CodeEmptyText},
		"no-break spaces":      {text: "\u00a0\u3000\u200b\ufeff", want: CodeEmptyText},
		"not UTF-8":            {text: "a\xffb", want: CodeBadText},
		"cut character":        {text: Text("你"[:2]), want: CodeBadText},
		"surrogate":            {text: "\xed\xa0\x80", want: CodeBadText},
		"nul":                  {text: "a\x00b", want: CodeBadText},
		"escape sequence":      {text: "\x1b[31mred", want: CodeBadText},
		"delete":               {text: "a\x7f", want: CodeBadText},
		"control after spaces": {text: "  \x01", want: CodeBadText},
	} {
		err := tc.text.check()
		if tc.want == "" && err != nil || tc.want != "" && CodeOf(err) != tc.want {
			t.Errorf("%s: check() = %v, want %q", name, err, tc.want)
		}
	}
}

func TestRefCheck(t *testing.T) {
	t.Parallel()
	for ref, want := range map[Ref]Code{
		"":                                      "",
		"m1":                                    "",
		"CAF-1@example.org":                     "",
		Ref(strings.Repeat("r", MaxRefBytes)):   "",
		Ref(strings.Repeat("r", MaxRefBytes+1)): CodeBadRef,
		"\xff":                                  CodeBadRef,
	} {
		err := ref.check()
		if want == "" && err != nil || want != "" && CodeOf(err) != want {
			t.Errorf("Ref(%.10q).check() = %v, want %q", ref, err, want)
		}
	}
}

func TestMetadataCheck(t *testing.T) {
	t.Parallel()
	keys := func(n int) map[string]string {
		m := map[string]string{}
		for i := range n {
			m[fmt.Sprint(i)] = ""
		}
		return m
	}
	for name, tc := range map[string]struct {
		metadata map[string]string
		want     Code
	}{
		"none":          {},
		"most keys":     {metadata: keys(MaxMetadataKeys)},
		"too many keys": {metadata: keys(MaxMetadataKeys + 1), want: CodeTooMuchMetadata},
		"most bytes":    {metadata: map[string]string{"k": strings.Repeat("v", MaxMetadataBytes-1)}},
		"too big":       {metadata: map[string]string{"k": strings.Repeat("v", MaxMetadataBytes)}, want: CodeTooMuchMetadata},
		"bad key":       {metadata: map[string]string{"\xff": ""}, want: CodeBadText},
		"bad value":     {metadata: map[string]string{"k": "\xff"}, want: CodeBadText},
	} {
		err := CheckMetadata(tc.metadata)
		if tc.want == "" && err != nil || tc.want != "" && CodeOf(err) != tc.want {
			t.Errorf("%s: CheckMetadata = %v, want %q", name, err, tc.want)
		}
	}
}

// TestTextLogsAsItsLength: whatever handler a program plugs in, and however a
// text gets into a record, its content stays out.
func TestTextLogsAsItsLength(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]func(*bytes.Buffer) slog.Handler{
		"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		"json": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	} {
		var b bytes.Buffer
		log := slog.New(handler(&b)).With("with", Text(secret))
		log.Info("attribute", "any", Text(secret), "key", Text(secret))
		log.WithGroup("g").Warn("group", slog.Group("inner", slog.Any("text", Text(secret))))
		_, err := Decide(&State{}, AcceptMessage{Text: secret}, testDay())
		log.Error("refusal", "err", err)
		if got := b.String(); strings.Contains(got, secret) || !strings.Contains(got, "6") {
			t.Errorf("%s handler wrote %s", name, got)
		}
	}
}
