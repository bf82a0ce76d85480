package main

import (
	"encoding"
	"path"
	"reflect"
	"strings"
	"time"
)

// field is one member of a JSON object.
type field struct {
	name     string // in JSON
	goName   string
	owner    string // key of the struct that declares it
	typ      reflect.Type
	optional bool
}

// keyOf names a Go type as the sources do.
func keyOf(t reflect.Type) string { return path.Base(t.PkgPath()) + "." + t.Name() }

// fieldsOf lists the members that encoding/json writes, embedded structs
// included.
func fieldsOf(t reflect.Type) []field {
	var out []field
	for f := range t.Fields() {
		if f.Anonymous && f.Type.Kind() == reflect.Struct && f.Tag.Get("json") == "" {
			out = append(out, fieldsOf(f.Type)...)
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" || !f.IsExported() {
			continue
		}
		out = append(out, field{
			name: name, goName: f.Name, owner: keyOf(t), typ: f.Type,
			optional: strings.Contains(options, "omit"),
		})
	}
	return out
}

// isText reports whether a type is written as a JSON string of its own making.
func isText(t reflect.Type) bool {
	text := reflect.TypeFor[encoding.TextMarshaler]()
	return t == reflect.TypeFor[time.Time]() || t.Implements(text)
}
