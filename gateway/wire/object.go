package wire

import (
	"slices"

	"github.com/colloquyhq/colloquy/conversation"
)

// Members hands out the members of the JSON object that data is, in their order:
// the key unescaped, the value as it stands in data. It checks all of data as
// [CheckJSON] does, each value before it is handed out and the rest behind it.
//
// Errors: class [conversation.ErrInvalid] for what CheckJSON refuses and for what
// is no object; those of each as they are.
func Members(data []byte, depth int, each func(key string, value []byte) error) error {
	s := scanner{b: data, depth: depth, keys: true}
	if s.space(); s.i >= len(data) || data[s.i] != '{' {
		if err := CheckJSON(data, depth); err != nil {
			return err
		}
		return conversation.Refuse(conversation.CodeBadJSON, "the body is a JSON object")
	}
	if err := s.object(each); err != nil {
		return err
	}
	return s.end()
}

// StringOf gives the text of a value that [Members] has handed out; false when it
// is not a string.
func StringOf(value []byte) (string, bool) {
	if len(value) == 0 || value[0] != '"' {
		return "", false
	}
	return unquote(value), true
}

// fewKeys is how many keys of an object are compared one by one; most objects have
// no more, and need no map.
const fewKeys = 8

// keySet knows the keys of one object.
type keySet struct {
	few  [fewKeys]string
	n    int
	many map[string]struct{} // all of them, once they are more
}

// add reports whether the key is new.
func (k *keySet) add(key string) bool {
	if k.many != nil {
		if _, twice := k.many[key]; twice {
			return false
		}
		k.many[key] = struct{}{}
		return true
	}
	if slices.Contains(k.few[:k.n], key) {
		return false
	}
	if k.n == fewKeys {
		k.many = make(map[string]struct{}, 2*fewKeys)
		for _, other := range k.few {
			k.many[other] = struct{}{}
		}
		k.many[key] = struct{}{}
		return true
	}
	k.few[k.n] = key
	k.n++
	return true
}
