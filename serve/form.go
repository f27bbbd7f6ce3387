package serve

import (
	"io"
	"mime/multipart"
	"net/http"
)

// form reads multipart/form-data (RFC 7578), part by part and never to a disk.
func (b *bodyReader) form(r *http.Request) error {
	reader, err := r.MultipartReader()
	if err != nil {
		return malformed(err)
	}
	for {
		part, err := reader.NextPart()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return malformed(err)
		}
		if err := b.part(part); err != nil {
			return err
		}
	}
}

// part reads one field. The file's name, which is the client's, is not looked at.
func (b *bodyReader) part(part *multipart.Part) error {
	f, err := b.find(part.FormName())
	if err != nil {
		return err
	}
	if f.kind != imageField {
		text, err := io.ReadAll(io.LimitReader(part, maxText+1))
		if err != nil {
			return malformed(err)
		}
		return b.addText(f, f.trimmed(string(text)))
	}
	if err := b.room(); err != nil {
		return err
	}
	content, err := io.ReadAll(part) // bounded by the body
	if err != nil {
		return malformed(err)
	}
	return b.addImage(f, content)
}
