package conversation

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// filledCommands gives one command of each kind, with every field set.
func filledCommands(t *testing.T) []Command {
	t.Helper()
	var out []Command
	for _, kind := range CommandKinds() {
		c, err := DecodeCommand(kind, []byte("{}"))
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		v := reflect.New(reflect.TypeOf(c)).Elem()
		fill(v)
		full, ok := reflect.TypeAssert[Command](v)
		if !ok || full.Kind() != kind {
			t.Fatalf("%s gives %T", kind, v.Interface())
		}
		out = append(out, full)
	}
	return out
}

// fill sets every field that JSON carries.
func fill(v reflect.Value) {
	switch v.Kind() { //nolint:exhaustive // the kinds that commands have; others fail below
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint64:
		v.SetUint(7)
	case reflect.Float32:
		v.SetFloat(0.5)
	case reflect.Uint8:
		v.SetUint(7)
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("k"), reflect.ValueOf("v"))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.UnixMilli(1_700_000_000_123).UTC()))
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("json") != "-" {
				fill(v.Field(i))
			}
		}
	}
}

func TestCommandsSurviveTheWayBetweenNodes(t *testing.T) {
	t.Parallel()
	for _, c := range filledCommands(t) {
		kind, data, err := EncodeCommand(c)
		if err != nil {
			t.Fatalf("%T: %v", c, err)
		}
		got, err := DecodeCommand(kind, data)
		if err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("%s became %+v, %v; want %+v", kind, got, err, c)
		}
		var fields map[string]any
		if err := json.Unmarshal(data, &fields); err != nil {
			t.Fatal(err)
		}
		for name := range fields {
			if name != strings.ToLower(name) {
				t.Errorf("%s has the field %q, which has no name of its own", kind, name)
			}
		}
		newer := append(slices.Clone(data[:len(data)-1]), `,"from_the_future":[1]}`...)
		if got, err = DecodeCommand(kind, newer); err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("%s of a newer version became %+v, %v", kind, got, err)
		}
	}
	for kind, data := range map[string]string{"dance": "{}", "claim": "{", "": "", "assign": `{"to":7}`} {
		if _, err := DecodeCommand(kind, []byte(data)); !errors.Is(err, ErrInvalid) {
			t.Errorf("DecodeCommand(%q, %q) = %v, want class invalid", kind, data, err)
		}
	}
	if _, _, err := EncodeCommand(nil); !errors.Is(err, ErrInvalid) {
		t.Errorf("EncodeCommand(nil) = %v, want class invalid", err)
	}
}

func TestOwnRefsAreTakenAndNotShown(t *testing.T) {
	t.Parallel()
	r := NewRef()
	if r == NewRef() || !r.IsOwn() || r.Shown() != "" || r.checkStored() != nil || len(r) > MaxRefBytes {
		t.Errorf("NewRef = %q", r)
	}
	if r.CheckSent() == nil || Ref("c1").CheckSent() != nil || Ref("c1").Shown() != "c1" {
		t.Error("a sender's id and an own one are not told apart")
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	s := &State{}
	d, err := Decide(s, AcceptMessage{Origin: Origin{Inbox: "shop", Channel: ChannelWeb, Contact: ContactID{1}, Bot: true}, Ref: r, Text: "hi"}, now)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range d.Events {
		s.Apply(Entry{Seq: Seq(i + 1), At: now, Event: e})
	}
	if s.FindRef(r) == 0 {
		t.Error("the message is not recognized when it comes again")
	}
	if _, err := Decide(s, AcceptMessage{Ref: "a\x01b", Text: "hi"}, now); CodeOf(err) != CodeBadRef {
		t.Errorf("a sender's control character = %v, want bad_ref", err)
	}
}
