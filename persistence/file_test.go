package persistence

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/colloquyhq/colloquy/conversation"
)

// fileOf describes a file of these bytes.
func fileOf(n int, data []byte) *conversation.File {
	sum := sha256.Sum256(data)
	return &conversation.File{
		Attachment: conversation.Attachment{
			ID: conversation.AttachmentID{3, byte(n)}, Name: "f.bin", Type: "application/octet-stream", Size: int64(len(data)),
			Blob: hex.EncodeToString(sum[:]), State: conversation.AttachmentStored,
		},
		Inbox: "sales", Contact: contact(1).Contact, At: testStart,
	}
}

func putChunks(t testing.TB, s *Store, blob string, data []byte) {
	t.Helper()
	for i := 0; i*BlobChunkBytes < len(data); i++ {
		part := data[i*BlobChunkBytes : min((i+1)*BlobChunkBytes, len(data))]
		if _, err := s.PutChunk(t.Context(), blob, i, part); err != nil {
			t.Fatal(err)
		}
	}
}

func putFile(t testing.TB, s *Store, f *conversation.File, data []byte) {
	t.Helper()
	putChunks(t, s, f.Blob, data)
	if err := s.PutFile(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

func someBytes(n int) []byte {
	out := make([]byte, n)
	r := rand.New(rand.NewPCG(uint64(n), 1))
	for i := range out {
		out[i] = byte(r.Uint32())
	}
	return out
}

func readBlob(t testing.TB, s *Store, blob string) ([]byte, error) {
	t.Helper()
	b, err := s.OpenBlob(t.Context(), blob)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(b)
}

// exists reports what of a file is left.
func exists(t testing.TB, s *Store, f *conversation.File) (file, bytes bool) {
	t.Helper()
	_, err := s.File(t.Context(), f.ID)
	if err != nil && !errors.Is(err, conversation.ErrNotFound) {
		t.Fatal(err)
	}
	_, berr := s.OpenBlob(t.Context(), f.Blob)
	if berr != nil && !errors.Is(berr, conversation.ErrNotFound) {
		t.Fatal(berr)
	}
	return err == nil, berr == nil
}

func TestFileComesBack(t *testing.T) {
	t.Parallel()
	s := openTest(t, testOptions(vfs.NewMem()))
	for n, size := range []int{1, BlobChunkBytes - 1, BlobChunkBytes, BlobChunkBytes + 1, 3*BlobChunkBytes + 77} {
		data := someBytes(size)
		f := fileOf(n, data)
		putFile(t, s, f, data)
		if got, err := s.File(t.Context(), f.ID); err != nil || got != *f {
			t.Errorf("File = %+v, %v, want %+v", got, err, *f)
		}
		if got, err := readBlob(t, s, f.Blob); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes came back as %d, %v", size, len(got), err)
		}
	}
	data := someBytes(3*BlobChunkBytes + 77)
	b, err := s.OpenBlob(t.Context(), fileOf(0, data).Blob)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int64{0, 5, BlobChunkBytes - 3, 2 * BlobChunkBytes, int64(len(data)) - 1, 100} {
		if _, err := b.Seek(at, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, min(9, len(data)-int(at)))
		if _, err := io.ReadFull(b, got); err != nil || !bytes.Equal(got, data[at:int(at)+len(got)]) {
			t.Errorf("at %d stands %x, %v", at, got, err)
		}
	}
	if end, err := b.Seek(0, io.SeekEnd); err != nil || end != b.Size() {
		t.Errorf("the end is at %d, %v", end, err)
	}
	if n, err := b.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("behind the end: %d, %v", n, err)
	}
	if _, err := b.Seek(-1, io.SeekStart); err == nil {
		t.Error("a place before the start")
	}
}

func TestEqualBytesAreStoredOnce(t *testing.T) {
	t.Parallel()
	s := openTest(t, testOptions(vfs.NewMem()))
	data := someBytes(2*BlobChunkBytes + 1)
	one, two := fileOf(1, data), fileOf(2, data)
	putFile(t, s, one, data)
	if whole, err := s.PutChunk(t.Context(), two.Blob, 0, data[:BlobChunkBytes]); err != nil || !whole {
		t.Errorf("PutChunk of what is there = %t, %v", whole, err)
	}
	for range 2 { // the second time changes nothing
		if err := s.PutFile(t.Context(), two); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.BlobBytes(); n != int64(len(data)) {
		t.Errorf("%d bytes are counted, want %d", n, len(data))
	}
	other := fileOf(2, []byte("other"))
	putChunks(t, s, other.Blob, []byte("other"))
	if err := s.PutFile(t.Context(), other); !errors.Is(err, ErrConflict) {
		t.Errorf("another file of the same id: %v", err)
	}
	if s = reopen(t, s); s.BlobBytes() != int64(len(data)) {
		t.Errorf("after a restart %d bytes are counted, want %d", s.BlobBytes(), len(data))
	}
}

func TestFileNeedsAllItsPieces(t *testing.T) {
	t.Parallel()
	s := openTest(t, testOptions(vfs.NewMem()))
	data := someBytes(2*BlobChunkBytes + 9)
	f := fileOf(1, data)
	if err := s.PutFile(t.Context(), f); !errors.Is(err, ErrIncomplete) {
		t.Errorf("no pieces: %v", err)
	}
	putChunks(t, s, f.Blob, data[:2*BlobChunkBytes])
	if err := s.PutFile(t.Context(), f); !errors.Is(err, ErrIncomplete) {
		t.Errorf("the last piece is missing: %v", err)
	}
	if _, err := s.PutChunk(t.Context(), f.Blob, 2, data[2*BlobChunkBytes:len(data)-1]); err != nil {
		t.Fatal(err)
	}
	if err := s.PutFile(t.Context(), f); !errors.Is(err, ErrIncomplete) {
		t.Errorf("the last piece is too short: %v", err)
	}
	if file, blob := exists(t, s, f); file || blob {
		t.Error("a file without its bytes can be read")
	}
	putFile(t, s, f, data)
	for name, bad := range map[string]func(*conversation.File){
		"no bytes named": func(f *conversation.File) { f.Blob = "x" },
		"no id":          func(f *conversation.File) { f.ID = conversation.AttachmentID{} },
		"empty":          func(f *conversation.File) { f.Size = 0 },
		"a long name":    func(f *conversation.File) { f.Name = string(someBytes(maxFileBytes)) },
	} {
		f := *f
		bad(&f)
		if err := s.PutFile(t.Context(), &f); err == nil {
			t.Errorf("%s: stored", name)
		}
	}
	if _, err := s.PutChunk(t.Context(), f.Blob, 0, make([]byte, BlobChunkBytes+1)); !errors.Is(err, conversation.ErrTooLarge) {
		t.Errorf("a piece that is too large: %v", err)
	}
}

// TestUnsentFilesGo: what no message carries goes, and what one does stays.
func TestUnsentFilesGo(t *testing.T) {
	t.Parallel()
	o := testOptions(vfs.NewMem())
	now := testStart
	o.Now = func() time.Time { return now }
	s := openTest(t, o)
	unsent, sent, orphan := fileOf(1, []byte("one")), fileOf(2, []byte("two")), fileOf(3, []byte("three"))
	putFile(t, s, unsent, []byte("one"))
	putFile(t, s, sent, []byte("two"))
	putChunks(t, s, orphan.Blob, []byte("three"))
	a := step(conv(1), 0, 1)
	a.Files = []conversation.AttachmentID{sent.ID, {9, 9}}
	mustAppend(t, s, a)
	if got, err := s.File(t.Context(), sent.ID); err != nil || !got.Sent || got.Conversation != conv(1) {
		t.Fatalf("the sent file is %+v, %v", got, err)
	}

	now = now.Add(24 * time.Hour)
	if err := s.sweepFiles(t.Context()); err != nil {
		t.Fatal(err)
	}
	if file, _ := exists(t, s, unsent); !file {
		t.Error("it is gone before its time")
	}
	now = now.Add(24 * time.Hour)
	if err := s.sweepFiles(t.Context()); err != nil {
		t.Fatal(err)
	}
	if file, blob := exists(t, s, unsent); file || blob {
		t.Errorf("what nobody sent is left: %t, %t", file, blob)
	}
	if file, blob := exists(t, s, sent); !file || !blob {
		t.Errorf("what was sent is gone: %t, %t", file, blob)
	}
	for key := range dump(t, s) {
		blob, err := parseBlob(orphan.Blob)
		if err != nil || bytes.HasPrefix([]byte(key), blobKey(blob)) {
			t.Errorf("pieces without a file are left: %v", err)
		}
		if key[0] == tagExpiry {
			t.Errorf("the sweep will come again for %x", key)
		}
	}
	if n := s.BlobBytes(); n != 3 {
		t.Errorf("%d bytes are counted, want 3", n)
	}
}

// TestFilesGoWithTheirConversation: and take the bytes along that no other file
// holds.
func TestFilesGoWithTheirConversation(t *testing.T) {
	t.Parallel()
	s := openTest(t, testOptions(vfs.NewMem()))
	shared, own := fileOf(1, []byte("shared")), fileOf(2, []byte("own"))
	other := fileOf(3, []byte("shared"))
	putFile(t, s, shared, []byte("shared"))
	putFile(t, s, own, []byte("own"))
	putFile(t, s, other, []byte("shared"))
	a, b := step(conv(1), 0, 1), step(conv(2), 0, 1)
	a.Files = []conversation.AttachmentID{shared.ID, own.ID}
	b.Files = []conversation.AttachmentID{other.ID, own.ID} // the second one is another conversation's already
	mustAppend(t, s, a)
	mustAppend(t, s, b)
	if ids, err := s.FilesOf(t.Context(), conv(1)); err != nil || len(ids) != 2 {
		t.Fatalf("FilesOf = %v, %v", ids, err)
	}
	if n, err := s.DropFiles(t.Context(), conv(1)); err != nil || n != 2 {
		t.Fatalf("DropFiles = %d, %v", n, err)
	}
	if file, blob := exists(t, s, own); file || blob {
		t.Errorf("its own file is left: %t, %t", file, blob)
	}
	if file, blob := exists(t, s, shared); file || !blob {
		t.Errorf("the shared file is %t, its bytes %t", file, blob)
	}
	if got, err := readBlob(t, s, other.Blob); err != nil || string(got) != "shared" {
		t.Errorf("the other conversation reads %q, %v", got, err)
	}
	if n, err := s.DropFiles(t.Context(), conv(2)); err != nil || n != 1 || s.BlobBytes() != 0 {
		t.Errorf("DropFiles = %d, %v; %d bytes are left", n, err, s.BlobBytes())
	}
	if again, err := s.DropFiles(t.Context(), conv(2)); err != nil || again != 0 {
		t.Errorf("DropFiles again = %d, %v", again, err)
	}
}

// TestRowsWithinABatch: what one operation drops, a later one of the same batch
// does not find.
func TestRowsWithinABatch(t *testing.T) {
	t.Parallel()
	var b rowBatch
	check := func(key, want string, known bool) {
		t.Helper()
		if got, ok := b.newest([]byte(key)); string(got) != want || ok != known {
			t.Errorf("newest(%s) = %q, %t, want %q, %t", key, got, ok, want, known)
		}
	}
	check("a", "", false)
	b.set([]byte("a"), []byte("1"))
	check("a", "1", true)
	b.drop([]byte("a"))
	check("a", "", true)
	b.set([]byte("b"), []byte("2"))
	b.dropRange([]byte("a"), []byte("c"))
	b.set([]byte("a"), []byte("3"))
	check("a", "3", true)
	check("b", "", true)
	check("c", "", false)
}

// TestEveryNodeHasTheFiles: also one that was not there when they came, and when
// the node that took them is lost.
func TestEveryNodeHasTheFiles(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	nodes := c.grow(3)
	data := someBytes(5*BlobChunkBytes + 3)
	f := fileOf(1, data)
	follower := c.follower()
	putFile(t, follower.store, f, data)
	a := step(conv(1), 0, 1)
	a.Files = []conversation.AttachmentID{f.ID}
	mustAppend(t, c.leader().store, a)
	c.agree()
	c.halt(follower)
	for _, n := range nodes {
		if n == follower {
			continue
		}
		got, err := readBlob(t, n.store, f.Blob)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s has %d bytes, %v, want %d", n.address, len(got), err, len(data))
		}
		if file, err := n.store.File(context.Background(), f.ID); err != nil || !file.Sent {
			t.Errorf("%s has %+v, %v", n.address, file, err)
		}
	}
}
