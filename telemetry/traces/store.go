package traces

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/colloquyhq/colloquy/conversation"
)

// store is a folder with a file for each trace. The oldest files go when there
// are too many, or too many bytes. A trace is not worth an fsync: what a crash
// leaves broken is thrown away at the next start.
//
// Concurrency: all methods may run together.
type store struct {
	dir      string
	most     int
	mostSize int64

	mu struct {
		sync.Mutex
		kept []kept // by name, which begins with the time
		size int64
	}
}

// kept is a file of the store.
type kept struct {
	Summary

	name string
	size int64
}

const (
	suffix = ".json"
	// largest bounds a file that is read: no trace that was written is larger.
	largest = 4 << 20
)

// openStore opens a folder and reads behind it what is there. Errors: those of the
// file system.
func openStore(dir string, most int, mostSize int64) (*store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the folder of traces: %w", err)
	}
	entries, err := os.ReadDir(dir) // in the order of names
	if err != nil {
		return nil, fmt.Errorf("open the folder of traces: %w", err)
	}
	s := &store{dir: dir, most: most, mostSize: mostSize}
	s.mu.Lock() // until all is read; a node need not wait for that to start
	go func() {
		defer s.mu.Unlock()
		s.load(entries)
	}()
	return s, nil
}

// load reads the files of an earlier run. The lock is held.
func (s *store) load(entries []fs.DirEntry) {
	for _, e := range entries {
		name := e.Name()
		if !strings.HasSuffix(name, suffix) {
			continue
		}
		t, size, err := s.read(name)
		if err != nil || nameOf(&t.Summary) != name {
			_ = os.Remove(filepath.Join(s.dir, name)) // cut by a crash, or of a version that nobody knows
			continue
		}
		s.mu.kept = append(s.mu.kept, kept{t.Summary, name, size})
		s.mu.size += size
	}
	s.trim()
}

// nameOf gives a name that sorts by time.
func nameOf(s *Summary) string { return fmt.Sprintf("%019d-%s%s", s.Began.UnixNano(), s.ID, suffix) }

func (s *store) read(name string) (*Trace, int64, error) {
	path := filepath.Join(s.dir, name)
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() || info.Size() > largest {
		return nil, 0, fs.ErrInvalid
	}
	raw, err := os.ReadFile(path) //nolint:gosec // a name that the store has given or found
	if err != nil {
		return nil, 0, err
	}
	t := &Trace{}
	return t, int64(len(raw)), json.Unmarshal(raw, t)
}

// put stores a trace, in place of one with the same id.
func (s *store) put(t *Trace) error {
	raw, err := json.Marshal(t)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	name := nameOf(&t.Summary)
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path+".part", raw, 0o600); err != nil {
		return err
	}
	if err := os.Rename(path+".part", path); err != nil {
		return err
	}
	if i := s.index(t.ID); i >= 0 {
		s.drop(i, name)
	}
	k := kept{t.Summary, name, int64(len(raw))}
	i, _ := slices.BinarySearchFunc(s.mu.kept, name, func(k kept, name string) int { return cmp.Compare(k.name, name) })
	s.mu.kept = slices.Insert(s.mu.kept, i, k)
	s.mu.size += k.size
	s.trim()
	return nil
}

// index finds a trace, -1 for none. The lock is held.
func (s *store) index(id conversation.TraceID) int {
	return slices.IndexFunc(s.mu.kept, func(k kept) bool { return k.ID == id })
}

// drop forgets a trace and removes its file, unless that is the one to spare.
// The lock is held.
func (s *store) drop(i int, spare string) {
	if name := s.mu.kept[i].name; name != spare {
		_ = os.Remove(filepath.Join(s.dir, name)) // gone already, or tried again at the next start
	}
	s.mu.size -= s.mu.kept[i].size
	s.mu.kept = slices.Delete(s.mu.kept, i, i+1)
}

// forget drops the traces of a conversation.
func (s *store) forget(id conversation.ConversationID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, k := range slices.Backward(s.mu.kept) {
		if k.Conversation == id {
			s.drop(i, "")
		}
	}
}

// trim drops the oldest traces while there are too many. The lock is held, or
// nobody else knows the store yet.
func (s *store) trim() {
	for len(s.mu.kept) > 0 && (len(s.mu.kept) > s.most || s.mu.size > s.mostSize) {
		s.drop(0, "")
	}
}

// list gives the newest traces that match.
func (s *store) list(q Query) []Summary {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Summary
	for _, k := range slices.Backward(s.mu.kept) {
		if len(out) >= q.limit() {
			break
		}
		if q.matches(&k.Summary) {
			out = append(out, k.Summary)
		}
	}
	return out
}

// get reads a trace. Errors: class [conversation.ErrNotFound].
func (s *store) get(id conversation.TraceID) (*Trace, error) {
	s.mu.Lock()
	i := s.index(id)
	if i < 0 {
		s.mu.Unlock()
		return nil, errUnknown()
	}
	name := s.mu.kept[i].name
	s.mu.Unlock()
	t, _, err := s.read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errUnknown() // it has just made room for a newer one
	}
	if err != nil {
		return nil, fmt.Errorf("read trace: %w", err)
	}
	return t, nil
}

// stored gives how many traces and bytes there are.
func (s *store) stored() (traces int, size int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.mu.kept), s.mu.size
}

func errUnknown() error {
	return conversation.Refuse(conversation.CodeNotFound, "no such trace, or not any more")
}
