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
	originBuiltin origin = iota
	originOperator
)

// source is one folder or single file that holds a pack.
type source struct {
	name   string // folder or file, as problems name it
	origin origin
	stamp  [sha256.Size]byte // of the content last read
	pack   *pack             // the newest that was good; nil if none ever was
	err    error             // why the newest content is not in use
	loaded time.Time         // when pack was read
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

// readSource reads one source. Where the content is what was read before,
// and good,
// nothing is done; where it is bad, the earlier pack stays.
func readSource(dir fs.FS, before *source, next source, files []string, norm *normalizer) *source {
	if before != nil {
		next.pack, next.loaded = before.pack, before.loaded
	}
	now := next.loaded
	content, stamp, err := readFiles(dir, files)
	if err != nil {
		next.err = err
		return &next
	}
	if before != nil && before.stamp == stamp && before.err == nil {
		next.stamp = stamp
		return &next
	}
	next.stamp = stamp
	k, err := parsePack(content, norm)
	if err != nil {
		next.err, next.loaded = err, now
		return &next
	}
	k.source = next.name
	if next.origin == originBuiltin {
		k.source = "built-in"
	}
	next.pack, next.loaded = k, time.Time{}
	return &next
}
