package channels

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/textproto"
	"slices"
	"strings"
)

// Form is the body of a call that carries a file.
type Form struct {
	Fields map[string]string
	Field  string // of the file
	Name   string
	Type   string
	Size   int64 // of the file
	File   io.Reader
}

// Form gives the form that carries the file in a field, with other fields beside
// it. Errors: [*SendError] when the bytes cannot be read now.
func (f *OutFile) Form(ctx context.Context, field string, fields map[string]string) (*Form, error) {
	content, err := f.Open(ctx)
	if err != nil {
		return nil, &SendError{Class: Retry, Code: "file_unreadable", Err: err}
	}
	return &Form{Fields: fields, Field: field, Name: f.Name, Type: f.Type, Size: f.Size, File: content}, nil
}

// body gives the form as it is sent: what stands before the file and behind it is
// in memory, the file is not.
func (f *Form) body() (body io.Reader, contentType string, size int64, err error) {
	var frame bytes.Buffer
	w := multipart.NewWriter(&frame)
	for _, name := range slices.Sorted(maps.Keys(f.Fields)) {
		if err := w.WriteField(name, f.Fields[name]); err != nil {
			return nil, "", 0, err
		}
	}
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(f.Name)
	_, err = w.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {fmt.Sprintf(`form-data; name="%s"; filename="%s"`, f.Field, quoted)},
		"Content-Type":        {f.Type},
	})
	if err != nil {
		return nil, "", 0, err
	}
	before := frame.Len()
	if err := w.Close(); err != nil {
		return nil, "", 0, err
	}
	head, tail := frame.Bytes()[:before], frame.Bytes()[before:]
	return io.MultiReader(bytes.NewReader(head), io.LimitReader(f.File, f.Size), bytes.NewReader(tail)), w.FormDataContentType(), int64(frame.Len()) + f.Size, nil
}
