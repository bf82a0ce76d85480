package persistence

import (
	"context"
	"fmt"

	"github.com/colloquyhq/colloquy/conversation"
)

// files writes all files, each behind the bytes that it names.
func (x *exporter) files(ctx context.Context) error {
	written := make(map[blobID]struct{})
	return scan(x.snap, prefixBounds(tagPrefix(tagFile), nil), func(key, rec []byte) (bool, error) {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		id, err := fileKeyID(key)
		if err != nil {
			return false, err
		}
		r, err := decodeFile(rec)
		if err != nil {
			return false, fmt.Errorf("%s: %w", id, err)
		}
		f, err := r.file()
		if err != nil {
			return false, fmt.Errorf("%s: %w", id, err)
		}
		if _, ok := written[r.blob]; !ok {
			written[r.blob] = struct{}{}
			if err := x.chunks(r.blob, f.Blob); err != nil {
				return false, fmt.Errorf("%s: %w", id, err)
			}
		}
		return true, x.line(exportFile{Type: lineFile, File: f})
	})
}

// chunks writes the pieces of bytes, in order.
func (x *exporter) chunks(id blobID, name string) error {
	index := 0
	return scan(x.snap, prefixBounds(chunkKey(id, 0), after(blobKey(id))), func(_, rec []byte) (bool, error) {
		data, err := body(tagBlob, rec)
		if err != nil {
			return false, err
		}
		line := exportBlob{Type: lineBlob, Blob: name, Index: index, Bytes: data}
		index++
		return true, x.line(line)
	})
}

func (im *importer) blob(ctx context.Context, l *importLine) error {
	if im.current != nil {
		return errLateFile()
	}
	_, err := im.store.PutChunk(ctx, l.Blob, l.Index, l.Bytes)
	return err
}

func (im *importer) file(ctx context.Context, l *importLine) error {
	if im.current != nil {
		return errLateFile()
	}
	if l.File == nil {
		return conversation.Refuse(conversation.CodeInvalid, "a file is described under file")
	}
	return im.store.PutFile(ctx, l.File)
}

func errLateFile() error {
	return conversation.Refuse(conversation.CodeInvalid, "files come before conversations")
}
