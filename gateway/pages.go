package gateway

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

const maxPagesBytes = 64 << 20

// pageSet is the static pages, read and hashed once.
type pageSet struct{ files map[string]*pageFile }

type pageFile struct {
	data []byte
	etag string
	kind string
}

// readPages reads every file of a file system that came with the binary.
func readPages(fsys fs.FS) (*pageSet, error) {
	set := &pageSet{files: make(map[string]*pageFile)}
	if fsys == nil {
		return set, nil
	}
	total := 0
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		if total += len(data); total > maxPagesBytes {
			return fmt.Errorf("the pages are over %d bytes", maxPagesBytes)
		}
		sum := sha256.Sum256(data)
		set.files[name] = &pageFile{data: data, etag: `"` + hex.EncodeToString(sum[:12]) + `"`, kind: contentType(name)}
		return nil
	})
	return set, err
}

// contentType does not guess from the content, and does not depend on what the
// machine has installed for the types that we use.
func contentType(name string) string {
	switch ext := path.Ext(name); ext {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".json", ".map":
		return "application/json"
	case ".svg":
		return "image/svg+xml"
	case ".webmanifest":
		return "application/manifest+json"
	case ".txt", ".md":
		return "text/plain; charset=utf-8"
	default:
		if t := mime.TypeByExtension(ext); t != "" {
			return t
		}
		return "application/octet-stream"
	}
}

// find resolves a path: the file itself, the index of a folder, or, for a page
// that routes by itself, the index of the nearest folder above.
func (s *pageSet) find(urlPath string) (string, *pageFile) {
	name := strings.TrimPrefix(path.Clean("/"+urlPath), "/")
	if f := s.files[name]; f != nil {
		return name, f
	}
	for _, candidate := range []string{path.Join(name, "index.html"), name + ".html"} {
		if f := s.files[candidate]; f != nil {
			return candidate, f
		}
	}
	if path.Ext(name) != "" {
		return "", nil
	}
	for dir := path.Dir(name); dir != "." && dir != "/"; dir = path.Dir(dir) {
		if f := s.files[path.Join(dir, "index.html")]; f != nil {
			return path.Join(dir, "index.html"), f
		}
	}
	return "", nil
}

func (g *Gateway) servePage(w http.ResponseWriter, r *http.Request) {
	name, f := g.pages.find(r.URL.Path)
	if f == nil && r.URL.Path == "/" && g.pages.files["agent/index.html"] != nil {
		http.Redirect(w, r, "/agent/", http.StatusFound)
		return
	}
	if f == nil {
		g.notFound(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		g.refuse(w, r, errMethod())
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("ETag", f.etag)
	if strings.HasPrefix(name, "assets/") { // the name carries the hash of the content
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		h.Set("Cache-Control", "no-cache") // kept, but asked for each time; the tag makes that cheap
	}
	g.pageHeaders(h, name, r.URL.Query().Get("inbox"))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.data))
}

// pageHeaders sets what a page may do. Nothing runs inline and nothing is
// loaded from elsewhere; who may frame a page depends on whose it is.
func (g *Gateway) pageHeaders(h http.Header, name, inbox string) {
	ancestors := "'none'"
	switch {
	case isEmbedded(name):
		ancestors = g.embedders(inbox)
		h.Del("X-Frame-Options") // it cannot name other origins
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
		h.Set("Access-Control-Allow-Origin", "*") // so that a page can pin the script's hash
	case !strings.HasSuffix(name, ".html"):
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
	}
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "+
		"connect-src 'self'; frame-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors "+ancestors)
}

// isEmbedded reports whether a file is a part of the widget or of the SDK, which
// foreign pages load and frame.
func isEmbedded(name string) bool {
	base := path.Base(name)
	return strings.HasPrefix(name, "widget/") || strings.HasPrefix(name, "sdk/") || strings.HasPrefix(base, "widget.")
}

// embedders lists the origins that may frame the widget of an inbox. Without a
// known inbox only our own pages may.
func (g *Gateway) embedders(inbox string) string {
	out := []string{"'self'"}
	id, err := conversation.ParseInboxID(inbox)
	if err != nil {
		return out[0]
	}
	in, err := g.opts.Inboxes.Inbox(id)
	if err != nil {
		return out[0]
	}
	for _, o := range in.Origins {
		if validOrigin(o) && o != originSelf { // it goes into a header
			out = append(out, o)
		}
	}
	return strings.Join(out, " ")
}
