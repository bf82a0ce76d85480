package persistence

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/colloquyhq/colloquy/conversation"
)

// fullHead has another value in every field, whatever fields there are.
func fullHead(t testing.TB) conversation.Head {
	t.Helper()
	var h conversation.Head
	v := reflect.ValueOf(&h).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); f.Interface().(type) {
		case time.Time:
			f.Set(reflect.ValueOf(time.Date(2026, 1, i+1, 3, 4, 5, 6_000_000, time.UTC)))
		case conversation.ConversationID, conversation.ContactID:
			f.Index(3).SetUint(uint64(i + 1))
		case conversation.Seq:
			f.SetUint(uint64(i + 300))
		case []string:
			f.Set(reflect.ValueOf([]string{"one", "", "three"}))
		case []conversation.MoodReason:
			f.Set(reflect.ValueOf([]conversation.MoodReason{conversation.MoodThreat, conversation.MoodAbuse}))
		case []conversation.AnomalySeen:
			f.Set(reflect.ValueOf([]conversation.AnomalySeen{
				{Kind: conversation.AnomalySlow, At: time.Date(2026, 2, 1, 0, 0, 0, 5, time.UTC)}, {Kind: conversation.AnomalyLoop, At: time.Date(2026, 2, 2, 0, 0, 0, 0, time.UTC)},
			}))
		case bool: // only of what was erased; see TestHeadOfWhatWasErased
		default:
			f.SetString(v.Type().Field(i).Name)
		}
	}
	return h
}

func TestHeadsComeBack(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]conversation.Head{
		"every field": fullHead(t), "none": {},
		"odd times": {CreatedAt: time.Date(9999, 12, 31, 0, 0, 0, 999_999_999, time.UTC), LastActivity: time.Unix(-1, 5).UTC()},
	} {
		rec := appendHead(nil, &want)
		for form, b := range map[string][]byte{"as written": rec, "with a field of a later form": append(append([]byte{erasedForm + 1}, rec[1:]...), 0, 7)} {
			got, err := decodeHead(b)
			if d := cmp.Diff(want, got); err != nil || d != "" {
				t.Errorf("%s, %s: error %v, difference (-want +got):\n%s", name, form, err, d)
			}
		}
		for form, shorter := range map[byte]int{1: 3, 2: 1} { // as of before there were moods, and anomalies
			if len(want.MoodReasons) > 0 {
				break
			}
			before := append([]byte{form}, rec[1:len(rec)-shorter]...)
			if got, err := decodeHead(before); err != nil || !cmp.Equal(want, got) {
				t.Errorf("%s, form %d: error %v, %+v", name, form, err, got)
			}
		}
		for n := range rec {
			if _, err := decodeHead(rec[:n]); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("%s: the first %d bytes of %d: error %v, want %v", name, n, len(rec), err, ErrCorrupt)
			}
		}
		asJSON, err := json.Marshal(&want)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := decodeHead(asJSON); err != nil || !got.LastActivity.Equal(want.LastActivity) || got.Version != want.Version {
			t.Errorf("%s, as JSON: %+v, error %v", name, got, err)
		}
	}
}

func TestHeadOfWhatWasErased(t *testing.T) {
	t.Parallel()
	want := fullHead(t)
	want.Erased = true
	rec := appendHead(nil, &want)
	if got, err := decodeHead(rec); err != nil || !cmp.Equal(want, got) || rec[0] != erasedForm {
		t.Errorf("form %d, error %v, difference:\n%s", rec[0], err, cmp.Diff(want, got))
	}
	if _, err := decodeHead(rec[:len(rec)-1]); !errors.Is(err, ErrCorrupt) {
		t.Errorf("cut: error %v, want %v", err, ErrCorrupt)
	}
}

func FuzzDecodeHead(f *testing.F) {
	h := fullHead(f)
	f.Add(appendHead(nil, &h))
	f.Add([]byte(`{"id":"x"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := decodeHead(b)
		if err != nil || b[0] == '{' {
			return
		}
		again, err := decodeHead(appendHead(nil, &h))
		if d := cmp.Diff(h, again); err != nil || d != "" {
			t.Errorf("error %v, difference:\n%s", err, d)
		}
	})
}
