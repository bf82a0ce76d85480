package intent

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// origin says whose pack it is.
type origin uint8

const (
	originBuiltin  origin = iota
	originOperator        // in the operator's folder
	originStored          // in the journal
)

// source is one folder or single file that holds a pack.
type source struct {
	name   string // folder or file, as problems name it
	origin origin
	stamp  [sha256.Size]byte // of the content last read
	pack   *pack             // the newest that was good; nil if none ever was
	err    error             // why the newest content is not in use
	loaded time.Time         // when pack was read
	saved  uint64            // of a stored pack: its version
	hidden string            // of a stored pack: the file that stands instead of it
}

// isPackFile reports files that are read; hidden ones and editors' left-overs
// are not.
func isPackFile(name string) bool {
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || strings.HasSuffix(name, "~") {
		return false
	}
	ext := path.Ext(name)
	return ext == ".yaml" || ext == ".yml"
}

// listSources finds the packs in a folder: each sub-folder with pack files and
// each single file, in the order of their names, with the files of each.
func listSources(dir fs.FS) (names []string, files map[string][]string, err error) {
	entries, err := fs.ReadDir(dir, ".")
	if err != nil {
		return nil, nil, fmt.Errorf("list packs: %w", err)
	}
	files = map[string][]string{}
	for _, e := range entries {
		name := e.Name()
		info, err := fs.Stat(dir, name) // follows links, as mounted configuration uses them
		if strings.HasPrefix(name, ".") || err != nil {
			continue
		}
		if !info.IsDir() {
			if isPackFile(name) {
				files[name] = []string{name}
			}
			continue
		}
		inside, err := fs.ReadDir(dir, name)
		if err != nil {
			return nil, nil, fmt.Errorf("list pack: %w", err)
		}
		for _, f := range inside {
			if isPackFile(f.Name()) {
				files[name] = append(files[name], path.Join(name, f.Name()))
			}
		}
	}
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	if len(names) > maxPacks {
		return nil, nil, conversation.Refusef(conversation.CodeTooLarge, "%d packs, the limit is %d", len(names), maxPacks)
	}
	return names, files, nil
}

// readFiles reads the files of one pack, each up to just above the limit so
// that the parser can tell.
func readFiles(dir fs.FS, names []string) ([]packFile, [sha256.Size]byte, error) {
	hash := sha256.New()
	var out []packFile
	for _, name := range names[:min(len(names), maxFilesPerPack+1)] {
		content, err := readFile(dir, name)
		if err != nil {
			return nil, [sha256.Size]byte{}, &PackError{File: name, Reason: reasonOf(err)}
		}
		_, _ = fmt.Fprintf(hash, "%s\x00%d\x00", name, len(content))
		_, _ = hash.Write(content)
		out = append(out, packFile{name: name, content: content})
	}
	return out, [sha256.Size]byte(hash.Sum(nil)), nil
}

func readFile(dir fs.FS, name string) (content []byte, err error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return io.ReadAll(io.LimitReader(f, maxFileBytes+1))
}

// reasonOf takes the path out of an error that names it again.
func reasonOf(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

// readSource reads one source of a folder. Where the content is what was read
// before, and good, nothing is done; where it is bad, the earlier pack stays.
func readSource(dir fs.FS, before *source, next source, files []string, norm *normalizer) *source {
	content, stamp, err := readFiles(dir, files)
	return next.take(before, stamp, norm, func() ([]packFile, error) { return content, err })
}

// take fills in the pack that the source's content holds, or the earlier one
// where the content is the same, or bad.
func (s *source) take(before *source, stamp [sha256.Size]byte, norm *normalizer, read func() ([]packFile, error)) *source {
	if before != nil {
		s.pack, s.loaded = before.pack, before.loaded
		if before.stamp == stamp && before.err == nil {
			s.stamp = stamp
			return s
		}
	}
	content, err := read()
	if err != nil {
		s.err = err
		return s
	}
	s.stamp = stamp
	k, err := parsePack(content, norm)
	if err == nil && s.origin == originStored {
		err = s.checkName(k)
	}
	if err != nil {
		s.err = err
		return s
	}
	k.source = s.name
	if s.origin == originBuiltin {
		k.source = builtinSource
	}
	s.pack, s.loaded = k, time.Time{}
	return s
}

// builtinSource is what people read as the source of a built-in pack.
const builtinSource = "built-in"
