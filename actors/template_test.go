package actors

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
)

func TestFillText(t *testing.T) {
	t.Parallel()
	values := map[string]string{"name": "Ann", "evil": "{name}", "a.b": "dot", "größe": "L", "empty": ""}
	tests := []struct{ template, want string }{
		{"", ""},
		{"plain", "plain"},
		{"Hello {name}", "Hello Ann"},
		{"{name}{name}", "AnnAnn"},
		{"{evil}", "{name}"},
		{"{unknown}", "—"},
		{"{empty}", "—"},
		{"{a.b} {größe}", "dot L"},
		{"{}", "{}"},
		{"{ name }", "{ name }"},
		{"{name", "{name"},
		{"name}", "name}"},
		{"}{name}{", "}Ann{"},
		{"{{name}}", "{Ann}"},
		{"a { b {name}", "a { b Ann"},
		{`{"json": "{name}"}`, `{"json": "Ann"}`},
		{"{<b>}", "{<b>}"},
		{"{" + strings.Repeat("x", 200) + "}{name}", "{" + strings.Repeat("x", 200) + "}Ann"},
	}
	for _, tt := range tests {
		if got := fillText(tt.template, values); got != tt.want {
			t.Errorf("fillText(%q) = %q, want %q", tt.template, got, tt.want)
		}
	}
}

func TestFillURL(t *testing.T) {
	t.Parallel()
	variables := map[string]string{"base": "https://shop.example/api/", "odd": "shop", "lang": "en"}
	tests := []struct {
		template, slot, want string
		ok                   bool
	}{
		{"{base}/orders/{s}", "7", "https://shop.example/api/orders/7", true},
		{"{base}/orders/{s}", "a b", "https://shop.example/api/orders/a%20b", true},
		{"{base}/orders?id={s}&lang={lang}", "a&b=c+d", "https://shop.example/api/orders?id=a%26b%3Dc%2Bd&lang=en", true},
		{"{base}/orders/{s}", "", "https://shop.example/api/orders/", false},
		{"{base}/orders/{s}", "..", "", false},
		{"{base}/orders/{s}", ".", "", false},
		{"{base}/{s}/x", "../..", "https://shop.example/api/..%2F../x", true},
		{"{base}{s}", ".evil.example", "https://shop.example/api.evil.example", true},
		{"https://fixed.example/{s}", "7", "https://fixed.example/7", true},
		{"ftp://fixed.example/{s}", "7", "", false},
		{"/orders/{s}", "7", "", false},
		{"{odd}/orders/{s}", "7", "", false},
		{"{unset}/orders/{s}", "7", "", false},
		{"{s}/orders", "https://evil.example", "", false}, // a slot is never the base
		{"http://[::1/{s}", "7", "", false},
	}
	for _, tt := range tests {
		got, ok := fillURL(tt.template, variables, map[string]string{"s": tt.slot, "lang": "en"})
		if ok != tt.ok || ok && got != tt.want {
			t.Errorf("fillURL(%q, %q) = %q, %t; want %q, %t", tt.template, tt.slot, got, ok, tt.want, tt.ok)
		}
	}
}

func TestFillResponse(t *testing.T) {
	t.Parallel()
	var body any
	d := json.NewDecoder(strings.NewReader(`{"a":{"b":["x",{"c":1.50}]},"n":null,"t":false,"big":12345678901234567890,"e":"","$":"d"}`))
	d.UseNumber()
	if err := d.Decode(&body); err != nil {
		t.Fatal(err)
	}
	for template, want := range map[string]string{
		"{$.a.b.0}": "x", "{$.a.b[0]}": "x", "{$.a.b[1].c}": "1.50", "{$.big}": "12345678901234567890", "{$.t}": "false",
		"{$.n}": "—", "{$.a}": "—", "{$.a.b}": "—", "{$.a.b.7}": "—", "{$.a.b.-1}": "—", "{$.a.b.x}": "—", "{$.e}": "—", "{$.}": "—", "{$}": "—",
		"{$.$}": "d", "{v}": "w", "{$.a.b[0}": "x",
	} {
		if got := fillResponse(template, map[string]string{"v": "w"}, body); got != want {
			t.Errorf("fillResponse(%s) = %q, want %q", template, got, want)
		}
	}
	if got := fillResponse("{$.x}{$}", nil, nil); got != "——" {
		t.Errorf("without a response %q", got)
	}
}

// Whatever stands in a template or a value: no panic, and a value is never
// looked at as a template.
func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"{name}", "{{name}}", "a{b", "}{", "{base}/{name}?q={name}", "{$.a[0].b}", "{name", "\xff{name}"} {
		f.Add(s, "value")
		f.Add(s, "{name}{secret}")
		f.Add(s, "../../admin?x=")
	}
	f.Fuzz(func(t *testing.T, template, value string) {
		values := map[string]string{"name": value, "secret": "never-to-be-seen"}
		out := fillText(template, values)
		if strings.Contains(out, "never-to-be-seen") && !strings.Contains(template, "{secret}") && !strings.Contains(value, "never-to-be-seen") && !strings.Contains(template, "never-to-be-seen") {
			t.Errorf("fillText(%q) with value %q = %q: the value was a template", template, value, out)
		}
		if !strings.Contains(template, "{") && out != template {
			t.Errorf("fillText(%q) = %q, nothing to fill in", template, out)
		}
		fillResponse(template, values, map[string]any{"a": []any{map[string]any{"b": value}}})
		got, ok := fillURL("{base}/x/{name}/y", map[string]string{"base": "https://shop.example"}, values)
		if !ok {
			return
		}
		u, err := url.Parse(got)
		if err != nil || u.Host != "shop.example" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			t.Fatalf("fillURL with %q = %s, %v", value, got, err)
		}
		if parts := strings.Split(u.EscapedPath(), "/"); len(parts) != 4 || parts[1] != "x" || parts[3] != "y" || parts[2] == ".." || parts[2] == "." {
			t.Errorf("fillURL with %q has the path %s", value, u.EscapedPath())
		}
	})
}

func TestOptionalPartsAreSaidWhenKnown(t *testing.T) {
	t.Parallel()
	const template = "Order {order_no}[[, tracking number {$.waybill}]][[ by {$.carrier} on {$.eta}]]. [[no names]] [[open"
	for name, c := range map[string]struct {
		response any
		want     string
	}{
		"nothing":  {nil, "Order 7. no names [[open"},
		"one":      {map[string]any{"waybill": "SF1"}, "Order 7, tracking number SF1. no names [[open"},
		"half":     {map[string]any{"carrier": "SF"}, "Order 7. no names [[open"},
		"all":      {map[string]any{"waybill": "SF1", "carrier": "SF", "eta": "11-26"}, "Order 7, tracking number SF1 by SF on 11-26. no names [[open"},
		"brackets": {map[string]any{"waybill": "[[x]]"}, "Order 7, tracking number [[x]]. no names [[open"},
	} {
		if got := fillResponse(template, map[string]string{"order_no": "7"}, c.response); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
