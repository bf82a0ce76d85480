package attachments

import (
	"archive/zip"
	"bytes"
	"image"
	"io"
	"mime"
	"net/http"
	"strings"

	// The decoders that read the size of a picture.
	_ "image/gif"
	_ "image/jpeg"
	_ "image/png"

	"github.com/colloquyhq/colloquy/conversation"
)

// DefaultTypes lists the media types that are taken when nobody says otherwise:
// what people send to a help desk, and nothing that runs.
func DefaultTypes() []string {
	return []string{
		typePNG, typeJPEG, "image/gif", typeWebP, typeHEIC,
		"audio/mpeg", "audio/ogg", "audio/mp4", "audio/wave", "audio/amr", "audio/silk",
		"video/mp4", "video/webm", "video/quicktime", "video/ogg",
		"application/pdf", "text/plain", "text/csv",
		typeWord, typeExcel, typePowerPoint, typeText, typeSheet, typeSlides,
	}
}

// Office documents without macros, and others that are named more than once.
const (
	typeWord       = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
	typeExcel      = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	typePowerPoint = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
	typeText       = "application/vnd.oasis.opendocument.text"
	typeSheet      = "application/vnd.oasis.opendocument.spreadsheet"
	typeSlides     = "application/vnd.oasis.opendocument.presentation"
	typeZip        = "application/zip"
	typeUnknown    = "application/octet-stream"
	typeJPEG       = "image/jpeg"
	typePNG        = "image/png"
	typeWebP       = "image/webp"
	typeHEIC       = "image/heic"
)

// Sniff says what bytes are: a media type without parameters. What the sender
// declares only decides between kinds that look the same.
func Sniff(data []byte, declared string) string {
	if t := magic(data); t != "" {
		return t
	}
	found, _, _ := mime.ParseMediaType(http.DetectContentType(data))
	said, _, err := mime.ParseMediaType(declared)
	if err != nil {
		said = ""
	}
	switch found {
	case "application/ogg":
		if said == "video/ogg" {
			return said
		}
		return "audio/ogg"
	case "video/webm":
		if said == "audio/webm" {
			return said
		}
	case "text/plain":
		if said == "text/csv" {
			return said
		}
	case typeZip:
		return insideZip(data)
	case "":
		return typeUnknown
	}
	return found
}

// magic knows what the standard library does not.
func magic(data []byte) string {
	brand := ""
	if len(data) >= 12 && string(data[4:8]) == "ftyp" {
		brand = string(data[8:12])
	}
	switch {
	case brand == "heic" || brand == "heix" || brand == "mif1" || brand == "msf1":
		return typeHEIC
	case strings.HasPrefix(brand, "M4A"):
		return "audio/mp4"
	case brand == "qt  ":
		return "video/quicktime"
	case bytes.HasPrefix(data, []byte("#!AMR")):
		return "audio/amr"
	case bytes.HasPrefix(data, []byte("#!SILK_V3")), bytes.HasPrefix(data, []byte("\x02#!SILK_V3")):
		return "audio/silk"
	case len(data) > 1 && data[0] == 0xff && data[1]&0xe6 == 0xe2: // MPEG audio, layer III, without tags
		return "audio/mpeg"
	}
	return ""
}

const (
	maxZipEntries = 10_000
	maxMimeEntry  = 100
)

// insideZip finds out whether an archive is an office document. One with macros
// stays an archive.
func insideZip(data []byte) string {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil || len(z.File) == 0 || len(z.File) > maxZipEntries {
		return typeZip
	}
	kind := typeZip
	for _, f := range z.File {
		switch {
		case strings.HasSuffix(strings.ToLower(f.Name), "vbaproject.bin"):
			return typeZip
		case f.Name == "word/document.xml":
			kind = typeWord
		case f.Name == "xl/workbook.xml":
			kind = typeExcel
		case f.Name == "ppt/presentation.xml":
			kind = typePowerPoint
		}
	}
	if first := z.File[0]; first.Name == "mimetype" && first.UncompressedSize64 <= maxMimeEntry {
		kind = openDocument(first)
	}
	return kind
}

func openDocument(f *zip.File) string {
	r, err := f.Open()
	if err != nil {
		return typeZip
	}
	defer func() { _ = r.Close() }()
	b, err := io.ReadAll(io.LimitReader(r, maxMimeEntry))
	if t := string(b); err == nil && (t == typeText || t == typeSheet || t == typeSlides) {
		return t
	}
	return typeZip
}

// Pictures beyond this take a browser's memory, however small the file is.
const (
	maxPixels = 64 << 20
	maxSide   = 30_000
)

// checkPicture refuses a picture that is none, or that is made to fill memory.
func checkPicture(kind string, data []byte) error {
	switch kind {
	case typePNG, typeJPEG, "image/gif":
	default:
		return nil
	}
	c, _, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return conversation.Refuse(conversation.CodeMediaType, "the file begins like a picture and is none")
	}
	if c.Width > maxSide || c.Height > maxSide || int64(c.Width)*int64(c.Height) > maxPixels {
		return conversation.Refusef(conversation.CodeTooLarge, "the picture has %d by %d pixels", c.Width, c.Height)
	}
	return nil
}

// endings are those that a file of a type may have; the first one is added to a
// name that has none of them. A name must not promise another kind than the bytes
// are: people open files by it.
func endings(kind string) []string {
	switch kind {
	case typePNG:
		return []string{".png"}
	case typeJPEG:
		return []string{".jpg", ".jpeg", ".jfif"}
	case "image/gif":
		return []string{".gif"}
	case typeWebP:
		return []string{".webp"}
	case typeHEIC:
		return []string{".heic", ".heif"}
	case "audio/mpeg":
		return []string{".mp3"}
	case "audio/ogg":
		return []string{".ogg", ".oga", ".opus"}
	case "audio/mp4":
		return []string{".m4a"}
	case "audio/wave":
		return []string{".wav"}
	case "audio/amr":
		return []string{".amr"}
	case "audio/silk":
		return []string{".silk"}
	case "audio/webm", "video/webm":
		return []string{".webm"}
	case "video/mp4":
		return []string{".mp4", ".m4v"}
	case "video/quicktime":
		return []string{".mov"}
	case "video/ogg":
		return []string{".ogv"}
	case "application/pdf":
		return []string{".pdf"}
	case "text/plain":
		return []string{".txt", ".log", ".md", ".csv", ".json", ".yaml", ".yml", ".ini", ".eml", ".ics", ".vcf"}
	case "text/csv":
		return []string{".csv"}
	}
	return documentEndings(kind)
}

func documentEndings(kind string) []string {
	switch kind {
	case typeWord:
		return []string{".docx"}
	case typeExcel:
		return []string{".xlsx"}
	case typePowerPoint:
		return []string{".pptx"}
	case typeText:
		return []string{".odt"}
	case typeSheet:
		return []string{".ods"}
	case typeSlides:
		return []string{".odp"}
	}
	return nil
}

// named cleans a name and gives it an ending that fits.
func named(name, kind string) string {
	name = conversation.CleanFileName(name)
	fit := endings(kind)
	for _, e := range fit {
		if len(name) > len(e) && strings.EqualFold(name[len(name)-len(e):], e) {
			return name
		}
	}
	if len(fit) == 0 {
		return name
	}
	if room := conversation.MaxFileNameBytes - len(fit[0]) - 1; len(name) > room {
		name = strings.ToValidUTF8(name[:room], "")
	}
	return conversation.CleanFileName(name + fit[0])
}
