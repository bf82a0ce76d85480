package formats

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/colloquyhq/colloquy/conversation"
)

// Limits of what is read. They count bytes after unpacking, so a small archive
// that unpacks to a large one ends at them as well.
const (
	maxInputFiles = 20_000
	maxFileBytes  = 32 << 20
	maxInputBytes = 128 << 20
	maxDepth      = 16 // of folders
)

// Input is the files that an import reads, in memory.
type Input struct {
	name  string
	files []*inputFile
	bytes int64
}

// inputFile is one file, with the name that messages call it by.
type inputFile struct {
	name    string // slash-separated, relative to what was given
	content []byte
	read    bool // a reader took something from it
}

// Open reads a file, a folder or an archive (zip, tar.gz). Files of kinds that
// no format uses are left alone.
//
// Errors: class [conversation.ErrInvalid] or [conversation.ErrTooLarge]; what
// the system says when a file cannot be opened.
func Open(name string) (*Input, error) {
	in := &Input{name: filepath.Base(name)}
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return in, in.addFolder(os.DirFS(name))
	}
	f, err := os.Open(name) //nolint:gosec // the operator's own choice
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	content, err := in.take(in.name, f)
	if err != nil {
		return nil, err
	}
	return in, in.addContent(in.name, content)
}

// newInput makes an input of one file.
func newInput(name string, content []byte) (*Input, error) {
	in := &Input{name: name, bytes: int64(len(content))}
	return in, in.addContent(name, content)
}

// addContent adds a file, or what is packed in it.
func (in *Input) addContent(name string, content []byte) error {
	switch {
	case bytes.HasPrefix(content, []byte("PK\x03\x04")) && !isWorkbook(content):
		return in.addZip(name, content)
	case bytes.HasPrefix(content, []byte("\x1f\x8b")):
		return in.addTar(name, content)
	}
	in.files = append(in.files, &inputFile{name: name, content: content})
	return nil
}

// usable reports names of files that some format reads.
func usable(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".xlsx", ".xlsm", ".csv", ".tsv", ".txt", ".yml", ".yaml", ".json", ".md", ".xls", ".ods":
		return true
	}
	return false
}

// hidden reports files and folders that belong to tools, and what is below
// them: .git, node_modules, __MACOSX, ~$lock.xlsx.
func hidden(name string) bool {
	return slices.ContainsFunc(strings.Split(name, "/"), func(s string) bool {
		return s == "node_modules" || s == "__MACOSX" || strings.HasPrefix(s, "~$") || strings.HasPrefix(s, ".") && s != "."
	})
}

func (in *Input) addFolder(dir fs.FS) error {
	return fs.WalkDir(dir, ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case hidden(name) && e.IsDir():
			return fs.SkipDir
		case e.IsDir() && strings.Count(name, "/") >= maxDepth:
			return fs.SkipDir
		case e.IsDir(), hidden(name), !usable(name), !e.Type().IsRegular():
			return nil
		}
		f, err := dir.Open(name)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		return in.addReader(name, f)
	})
}

func (in *Input) addZip(name string, content []byte) error {
	z, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return refuse(Place{File: name}, "not a whole zip archive: %v", err)
	}
	for _, f := range z.File {
		inside, err := safeName(f.Name)
		if err != nil {
			return refuse(Place{File: name}, "%v", err)
		}
		if f.FileInfo().IsDir() || hidden(inside) || !usable(inside) {
			continue
		}
		r, err := f.Open()
		if err != nil {
			return refuse(Place{File: inside}, "not readable in %s: %v", name, err)
		}
		err = in.addReader(inside, r)
		_ = r.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

func (in *Input) addTar(name string, content []byte) error {
	z, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return refuse(Place{File: name}, "not a whole gzip archive: %v", err)
	}
	// Tar has to read over what is left alone, so that counts as well.
	t := tar.NewReader(io.LimitReader(z, maxInputBytes))
	for range maxInputFiles {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return refuse(Place{File: name}, "not a tar.gz archive, or more than %d MiB unpacked: %v", maxInputBytes>>20, err)
		}
		inside, err := safeName(h.Name)
		if err != nil {
			return refuse(Place{File: name}, "%v", err)
		}
		if h.Typeflag != tar.TypeReg || hidden(inside) || !usable(inside) {
			continue
		}
		if err := in.addReader(inside, t); err != nil {
			return err
		}
	}
	return conversation.Refusef(conversation.CodeTooLarge, "%s holds more than %d files", name, maxInputFiles)
}

// safeName checks the name of a file in an archive. Nothing is written under
// it, but an archive with such names was made to do harm. Names that are not
// UTF-8 come from Windows in Chinese, as GBK.
func safeName(name string) (string, error) {
	if !utf8.ValidString(name) {
		if s, ok := fromGB18030([]byte(name)); ok {
			name = s
		}
		name = strings.ToValidUTF8(name, "_")
	}
	name = strings.ReplaceAll(name, `\`, "/")
	if strings.HasPrefix(name, "/") || slices.Contains(strings.Split(name, "/"), "..") || strings.ContainsRune(name, 0) {
		return "", fmt.Errorf("the archive holds a file with the unsafe name %q", name)
	}
	return path.Clean(name), nil
}

func (in *Input) addReader(name string, r io.Reader) error {
	content, err := in.take(name, r)
	if err != nil {
		return err
	}
	in.files = append(in.files, &inputFile{name: name, content: content})
	return nil
}

// take reads a file within the limits.
func (in *Input) take(name string, r io.Reader) ([]byte, error) {
	if len(in.files) >= maxInputFiles {
		return nil, conversation.Refusef(conversation.CodeTooLarge, "%s holds more than %d files", in.name, maxInputFiles)
	}
	content, err := io.ReadAll(io.LimitReader(r, maxFileBytes+1))
	if err != nil {
		return nil, refuse(Place{File: name}, "not readable: %v", err)
	}
	if len(content) > maxFileBytes {
		return nil, conversation.Refusef(conversation.CodeTooLarge, "%s has more than %d MiB unpacked", name, maxFileBytes>>20)
	}
	if in.bytes += int64(len(content)); in.bytes > maxInputBytes {
		return nil, conversation.Refusef(conversation.CodeTooLarge, "%s has more than %d MiB unpacked", in.name, maxInputBytes>>20)
	}
	return content, nil
}

// ending lists the files whose names end in one of exts, by name.
func (in *Input) ending(exts ...string) []*inputFile {
	var out []*inputFile
	for _, f := range in.files {
		if slices.Contains(exts, strings.ToLower(path.Ext(f.name))) {
			out = append(out, f)
		}
	}
	slices.SortStableFunc(out, func(a, b *inputFile) int { return strings.Compare(a.name, b.name) })
	return out
}

// used lists the files that a reader took something from.
func (in *Input) used() []string {
	var out []string
	for _, f := range in.files {
		if f.read {
			out = append(out, f.name)
		}
	}
	return out
}
