package attachments

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/colloquyhq/colloquy/conversation"
)

// memory is a [Journal] that forgets with the process.
type memory struct {
	sync.Mutex

	chunks map[string][][]byte
	whole  map[string]bool
	files  map[conversation.AttachmentID]conversation.File
	late   map[conversation.AttachmentID]conversation.File // seen after a barrier only
	pieces int                                             // that came
	lose   bool                                            // forgets the pieces once, before the file comes
}

func newMemory() *memory {
	return &memory{
		chunks: map[string][][]byte{}, whole: map[string]bool{}, files: map[conversation.AttachmentID]conversation.File{},
		late: map[conversation.AttachmentID]conversation.File{},
	}
}

func (m *memory) PutChunk(_ context.Context, blob string, index int, data []byte) (bool, error) {
	m.Lock()
	defer m.Unlock()
	m.pieces++
	if m.whole[blob] {
		return true, nil
	}
	m.chunks[blob] = append(m.chunks[blob][:index:index], bytes.Clone(data))
	return false, nil
}

func (m *memory) PutFile(_ context.Context, f *conversation.File) error {
	m.Lock()
	defer m.Unlock()
	if m.lose {
		m.lose = false
		delete(m.chunks, f.Blob)
		delete(m.whole, f.Blob)
	}
	if int64(len(bytes.Join(m.chunks[f.Blob], nil))) != f.Size {
		return conversation.Refuse(conversation.CodeConflict, "pieces are missing")
	}
	m.whole[f.Blob] = true
	m.files[f.ID] = *f
	return nil
}

func (m *memory) File(_ context.Context, id conversation.AttachmentID) (conversation.File, error) {
	m.Lock()
	defer m.Unlock()
	f, ok := m.files[id]
	if !ok {
		return f, conversation.Refuse(conversation.CodeNotFound, "no file")
	}
	return f, nil
}

func (m *memory) OpenBlob(_ context.Context, blob string) (io.ReadSeeker, error) {
	m.Lock()
	defer m.Unlock()
	return bytes.NewReader(bytes.Join(m.chunks[blob], nil)), nil
}

func (m *memory) BlobBytes() int64 {
	m.Lock()
	defer m.Unlock()
	n := int64(0)
	for blob := range m.whole {
		n += int64(len(bytes.Join(m.chunks[blob], nil)))
	}
	return n
}

func (m *memory) Barrier(context.Context) error {
	m.Lock()
	defer m.Unlock()
	for id, f := range m.late {
		m.files[id] = f
	}
	return nil
}

func storeOver(t *testing.T, j Journal, change func(*Options)) *Store {
	t.Helper()
	o := Options{Journal: j, WriteBytesPerSec: 1 << 30}
	if change != nil {
		change(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func visitors(name string) conversation.Upload {
	return conversation.Upload{Inbox: "shop", Contact: conversation.ContactID{1}, Name: name}
}

func pngOf(t *testing.T, w, h int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, w, h))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// hugePNG says that it has so many pixels, and has none.
func hugePNG(w, h uint32) []byte {
	head := []byte("IHDR")
	head = binary.BigEndian.AppendUint32(head, w)
	head = binary.BigEndian.AppendUint32(head, h)
	head = append(head, 8, 2, 0, 0, 0)
	out := append([]byte("\x89PNG\r\n\x1a\n"), 0, 0, 0, 13)
	out = append(out, head...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(head))
}

func zipOf(t *testing.T, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, n := range names {
		name, content, _ := strings.Cut(n, "=")
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err == nil {
			_, err = io.WriteString(w, content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestSaveAndOpen(t *testing.T) {
	t.Parallel()
	j := newMemory()
	s := storeOver(t, j, nil)
	text := strings.Repeat("lines of a log\n", 30_000) // several pieces
	a, err := s.Save(t.Context(), visitors("../server.log"), strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if a.Name != "server.log" || a.Type != "text/plain" || a.Size != int64(len(text)) || a.State != conversation.AttachmentStored || a.ID.IsZero() {
		t.Errorf("Save = %+v", a)
	}
	r, err := s.Open(t.Context(), &a)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || string(got) != text {
		t.Errorf("%d bytes came back, %v", len(got), err)
	}
	f, err := s.Find(t.Context(), a.ID)
	if err != nil || f.Inbox != "shop" || f.Contact != (conversation.ContactID{1}) || f.Sent || f.At.IsZero() {
		t.Errorf("Find = %+v, %v", f, err)
	}
	pieces := j.pieces
	if b, err := s.Save(t.Context(), visitors("copy.log"), strings.NewReader(text)); err != nil || b.ID == a.ID || b.Blob != a.Blob {
		t.Errorf("a second time: %+v, %v", b, err)
	}
	if j.pieces != pieces+1 {
		t.Errorf("%d pieces were written of what is there", j.pieces-pieces)
	}
	if _, err := s.Open(t.Context(), &conversation.Attachment{State: conversation.AttachmentPending}); !errors.Is(err, conversation.ErrNotFound) {
		t.Errorf("a pending one: %v", err)
	}
}

// TestSameIDIsTheSameFile: a repeated delivery writes nothing and counts nothing.
func TestSameIDIsTheSameFile(t *testing.T) {
	t.Parallel()
	j := newMemory()
	s := storeOver(t, j, func(o *Options) { o.DayBytes = 8 })
	u := visitors("a.txt")
	u.ID = conversation.AttachmentID{7}
	for range 3 {
		a, err := s.Save(t.Context(), u, strings.NewReader("hello"))
		if err != nil || a.ID != u.ID {
			t.Fatalf("Save = %+v, %v", a, err)
		}
	}
	if j.pieces != 1 {
		t.Errorf("%d pieces were written", j.pieces)
	}
}

func TestPiecesThatGoMeanwhileAreWrittenAgain(t *testing.T) {
	t.Parallel()
	j := newMemory()
	j.lose = true
	s := storeOver(t, j, nil)
	a, err := s.Save(t.Context(), visitors("a.txt"), strings.NewReader("hello"))
	if err != nil || j.pieces != 2 || !j.whole[a.Blob] {
		t.Errorf("Save = %+v, %v after %d pieces", a, err, j.pieces)
	}
}

func TestFindAsksAgainBehindABarrier(t *testing.T) {
	t.Parallel()
	j := newMemory()
	j.late[conversation.AttachmentID{1}] = conversation.File{Inbox: "shop"}
	s := storeOver(t, j, nil)
	if f, err := s.Find(t.Context(), conversation.AttachmentID{1}); err != nil || f.Inbox != "shop" {
		t.Errorf("Find = %+v, %v", f, err)
	}
	if _, err := s.Find(t.Context(), conversation.AttachmentID{2}); !errors.Is(err, conversation.ErrNotFound) {
		t.Errorf("Find of nothing = %v", err)
	}
}

// TestContentDecides: neither the name nor the declared type makes a file what it
// is not.
func TestContentDecides(t *testing.T) {
	t.Parallel()
	picture := pngOf(t, 4, 4)
	var photo bytes.Buffer
	if err := jpeg.Encode(&photo, image.NewGray(image.Rect(0, 0, 2, 2)), nil); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		data                 []byte
		called, declared     string
		wantType, wantCalled string
		code                 conversation.Code
	}{
		"picture":             {picture, "a.png", "image/png", "image/png", "a.png", ""},
		"picture, upper case": {picture, "A.PNG", "", "image/png", "A.PNG", ""},
		"called a page":       {picture, "a.html", "text/html", "image/png", "a.html.png", ""},
		"photo":               {photo.Bytes(), "a.jpeg", "", "image/jpeg", "a.jpeg", ""},
		"text":                {[]byte("just words"), "notes.md", "", "text/plain", "notes.md", ""},
		"text as a program":   {[]byte("echo hi"), "run.bat", "application/x-bat", "text/plain", "run.bat.txt", ""},
		"svg without a head":  {[]byte("<svg onload=alert(1)>"), "a.svg", "image/svg+xml", "text/plain", "a.svg.txt", ""},
		"csv":                 {[]byte("a,b\n1,2\n"), "a.csv", "text/csv", "text/csv", "a.csv", ""},
		"pdf":                 {[]byte("%PDF-1.7\n"), "bill.exe", "", "application/pdf", "bill.exe.pdf", ""},
		"voice":               {[]byte("#!AMR\n\x0c"), "", "", "audio/amr", "file.amr", ""},
		"word":                {zipOf(t, "[Content_Types].xml", "word/document.xml"), "a.docx", "", typeWord, "a.docx", ""},
		"open document":       {zipOf(t, "mimetype="+typeText, "content.xml"), "a.odt", "", typeText, "a.odt", ""},
		"page":                {[]byte("<!DOCTYPE html><script>"), "a.txt", "text/plain", "", "", conversation.CodeMediaType},
		"svg":                 {[]byte(`<?xml version="1.0"?><svg/>`), "a.png", "image/png", "", "", conversation.CodeMediaType},
		"windows program":     {[]byte("MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff"), "a.png", "image/png", "", "", conversation.CodeMediaType},
		"linux program":       {[]byte("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00"), "a.pdf", "application/pdf", "", "", conversation.CodeMediaType},
		"word with macros":    {zipOf(t, "word/document.xml", "word/vbaProject.bin"), "a.docm", "", "", "", conversation.CodeMediaType},
		"archive":             {zipOf(t, "a.txt"), "a.zip", "", "", "", conversation.CodeMediaType},
		"broken picture":      {picture[:20], "a.png", "image/png", "", "", conversation.CodeMediaType},
		"pixel bomb":          {hugePNG(50_000, 50_000), "a.png", "image/png", "", "", conversation.CodeTooLarge},
		"nothing":             {nil, "a.txt", "", "", "", conversation.CodeBadAttachment},
		"too much":            {make([]byte, 1<<20+1), "a.txt", "", "", "", conversation.CodeTooLarge},
	} {
		s := storeOver(t, newMemory(), func(o *Options) { o.MaxBytes = 1 << 20 })
		u := visitors(tc.called)
		u.Declared = tc.declared
		a, err := s.Save(t.Context(), u, bytes.NewReader(tc.data))
		if tc.code != "" {
			if conversation.CodeOf(err) != tc.code {
				t.Errorf("%s: %v, want %s", name, err, tc.code)
			}
			continue
		}
		if err != nil || a.Type != tc.wantType || a.Name != tc.wantCalled {
			t.Errorf("%s: %s called %q, %v, want %s called %q", name, a.Type, a.Name, err, tc.wantType, tc.wantCalled)
		}
	}
}

func TestOwnListOfTypes(t *testing.T) {
	t.Parallel()
	only := storeOver(t, newMemory(), func(o *Options) { o.Types = []string{"application/pdf"} })
	if _, err := only.Save(t.Context(), visitors("a.txt"), strings.NewReader("words")); conversation.CodeOf(err) != conversation.CodeMediaType {
		t.Errorf("text where only PDF is taken: %v", err)
	}
	all := storeOver(t, newMemory(), func(o *Options) { o.Types = []string{"*"} })
	if a, err := all.Save(t.Context(), visitors("a.bin"), bytes.NewReader([]byte{0, 1, 2})); err != nil || a.Type != typeUnknown || a.Name != "a.bin" {
		t.Errorf("anything: %+v, %v", a, err)
	}
	for _, bad := range [][]string{{"image"}, {"*", "image/png"}, {"image/png; q=1"}, {""}} {
		if _, err := New(Options{Journal: newMemory(), Types: bad}); err == nil {
			t.Errorf("the types %q were taken", bad)
		}
	}
}

func TestDayAndTotal(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 2, 23, 0, 0, 0, time.UTC)
	s := storeOver(t, newMemory(), func(o *Options) {
		o.DayBytes, o.TotalBytes, o.Now = 10, 26, func() time.Time { return now }
	})
	save := func(contact byte, agent conversation.AgentID, text string) error {
		u := visitors("a.txt")
		u.Contact, u.Agent = conversation.ContactID{contact}, agent
		_, err := s.Save(t.Context(), u, strings.NewReader(text))
		return err
	}
	if err := save(1, "", "12345678"); err != nil {
		t.Fatal(err)
	}
	err := save(1, "", "abc")
	if e := (*conversation.Error)(nil); !errors.As(err, &e) || e.Code != conversation.CodeQuota || e.After != time.Hour {
		t.Errorf("over the day's bytes: %+v", err)
	}
	if err := save(2, "", "abc"); err != nil {
		t.Errorf("another visitor: %v", err)
	}
	if err := save(1, "mei", "ABCD"); err != nil {
		t.Errorf("an agent: %v", err)
	}
	now = now.Add(time.Hour)
	if err := save(1, "", "abcdefghij"); err != nil {
		t.Errorf("the next day: %v", err)
	}
	if err := save(3, "mei", "more"); conversation.CodeOf(err) != conversation.CodeQuota {
		t.Errorf("over the total: %v", err)
	}
}

// stuck is a body that stands still until it is let go.
type stuck struct {
	began chan struct{}
	leave chan struct{}
	first bool
}

func (s *stuck) Read(p []byte) (int, error) {
	if !s.first {
		s.first = true
		close(s.began)
		return copy(p, "some bytes"), nil
	}
	<-s.leave
	return 0, io.EOF
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	s := storeOver(t, newMemory(), func(o *Options) { o.MemoryBytes = 12 })
	slow := &stuck{began: make(chan struct{}), leave: make(chan struct{})}
	done := make(chan error, 1)
	go func() {
		_, err := s.Save(t.Context(), visitors("a.txt"), slow)
		done <- err
	}()
	<-slow.began
	if _, err := s.Save(t.Context(), visitors("b.txt"), strings.NewReader("also some bytes")); !errors.Is(err, conversation.ErrOverloaded) {
		t.Errorf("over the memory: %v", err)
	}
	close(slow.leave)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := s.memory.Load(); n != 0 {
		t.Errorf("%d bytes were not given back", n)
	}
	if _, err := s.Save(t.Context(), visitors("b.txt"), strings.NewReader("bytes")); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestWritersStandInLine: a file that waits for its turn goes when its sender
// does.
func TestWritersStandInLine(t *testing.T) {
	t.Parallel()
	s := storeOver(t, newMemory(), nil)
	for range maxWrites {
		s.writes <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Save(ctx, visitors("a.txt"), strings.NewReader("x")); !errors.Is(err, conversation.ErrUnavailable) {
		t.Errorf("Save = %v", err)
	}
	p := pace{bytesPerSec: 1}
	if err := p.wait(ctx, 3600); err != nil {
		t.Errorf("the first piece waits: %v", err)
	}
	if err := p.wait(ctx, 1); !errors.Is(err, conversation.ErrUnavailable) {
		t.Errorf("the second piece does not wait for the pace: %v", err)
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	id := conversation.AttachmentID{1, 2, 3}
	l := NewLinks([]byte("key"), "https://support.example.com")
	link := l.Link(id, now, time.Hour)
	rest, ok := strings.CutPrefix(link, "https://support.example.com/v1/files/"+id.String()+"?until=1800003600&signature=")
	if !ok {
		t.Fatalf("Link = %s", link)
	}
	check := func(id conversation.AttachmentID, until, signature string, at time.Time) bool {
		return l.CheckLink(id, until, signature, at) == nil
	}
	if !check(id, "1800003600", rest, now.Add(time.Hour-time.Second)) {
		t.Error("a good link is refused")
	}
	for name, bad := range map[string]bool{
		"its time is over": check(id, "1800003600", rest, now.Add(time.Hour)),
		"another file":     check(conversation.AttachmentID{9}, "1800003600", rest, now),
		"a longer life":    check(id, "1900003600", rest, now),
		"no signature":     check(id, "1800003600", "", now),
		"one letter less":  check(id, "1800003600", rest[1:], now),
		"another key":      NewLinks([]byte("other"), "").CheckLink(id, "1800003600", rest, now) == nil,
		"no time":          check(id, "", rest, now),
	} {
		if bad {
			t.Errorf("%s: the link is taken", name)
		}
	}
	if got := NewLinks([]byte("key"), "").Link(id, now, time.Hour); got != "" {
		t.Errorf("a link without an address: %s", got)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	s := storeOver(t, newMemory(), func(o *Options) { o.Registerer = reg })
	if _, err := s.Save(t.Context(), visitors("a.txt"), strings.NewReader("hello")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Save(t.Context(), visitors("a.html"), strings.NewReader("<html>")); err == nil {
		t.Fatal("a page was taken")
	}
	if n := testutil.ToFloat64(s.metrics.bytes.WithLabelValues(fromVisitor)); n != 5 {
		t.Errorf("%v bytes are counted", n)
	}
	if n := testutil.ToFloat64(s.metrics.refused.WithLabelValues(refusedType)); n != 1 {
		t.Errorf("%v refusals are counted", n)
	}
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

// FuzzSniff: whatever bytes come, the answer is a media type, and the name that
// goes with it is clean.
func FuzzSniff(f *testing.F) {
	for _, s := range []string{"", "PK\x03\x04", "<html", "%PDF", "\xff\xfb\x90", "RIFF\x00\x00\x00\x00WEBPVP8", "\x00\x00\x00\x18ftypheic"} {
		f.Add([]byte(s), "image/png", "a.png")
	}
	f.Fuzz(func(t *testing.T, data []byte, declared, name string) {
		kind := Sniff(data, declared)
		if err := CheckTypes([]string{kind}); err != nil {
			t.Fatalf("Sniff(%q, %q) = %q: %v", data, declared, kind, err)
		}
		if got := named(name, kind); got != conversation.CleanFileName(got) || len(got) > conversation.MaxFileNameBytes {
			t.Fatalf("named(%q, %q) = %q", name, kind, got)
		}
	})
}
