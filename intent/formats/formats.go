package formats

import (
	"fmt"
	"slices"
	"strings"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/intent"
)

// Format is a form in which a bot's knowledge is kept.
type Format string

// The formats. YAML and JSON are the program's own pack files.
const (
	Auto       Format = "auto"
	XLSX       Format = "xlsx"
	CSV        Format = "csv"
	Rasa       Format = "rasa"
	Dialogflow Format = "dialogflow"
	Botpress   Format = "botpress"
	YAML       Format = "yaml"
	JSON       Format = "json"
)

// Place is where something stands in what was read.
type Place struct {
	File string
	Line int    // zero when the file as a whole is meant, or Cell says it
	Cell string // of a spreadsheet, such as Sheet1!B7
}

// String gives the place for people.
func (p Place) String() string {
	switch {
	case p.Cell != "":
		return p.File + " " + p.Cell
	case p.Line > 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return p.File
}

// RemarkKind says what became of the thing a remark is about.
type RemarkKind string

// The kinds of remarks.
const (
	LeftOut RemarkKind = "left_out" // not in the result
	Changed RemarkKind = "changed"  // in the result, in another form
)

// Remark is one thing that could not be carried over as it was.
type Remark struct {
	Kind RemarkKind `json:"kind"`
	At   string     `json:"at"`   // file and line or cell
	What string     `json:"what"` // shortened
	Why  string     `json:"why"`
}

// Options say how something is read.
type Options struct {
	Format  Format            // [Auto] or empty finds out
	Pack    string            // name of the pack that is made
	Lang    string            // of everything that names no language; empty means by script
	Extends []string          // packs that the new one extends
	Base    intent.Contents   // what those packs say together
	Labels  map[string]string // name or standard question elsewhere → id here; "-" leaves it out
}

// Import is what was read.
type Import struct {
	Format   Format
	Contents intent.Contents
	Remarks  []Remark
	Sources  []string // files that were read
	Unused   []string // keys of Options.Labels that nothing had
}

// reader reads the files of one format into a draft.
type reader func(in *Input, d *draft) error

func readers() map[Format]reader {
	return map[Format]reader{XLSX: readXLSX, CSV: readCSV, Rasa: readRasa, Dialogflow: readDialogflow, Botpress: readBotpress}
}

// Read makes a pack of what in holds.
//
// Errors: class [conversation.ErrInvalid] when it is not of the format, or not
// readable, or larger than a pack may be; the text names file and place.
func Read(in *Input, o Options) (*Import, error) {
	if !intent.IsName(o.Pack) {
		return nil, conversation.Refusef(conversation.CodeInvalid, "%q is no name for a pack: lower-case letters, digits, and _ - . inside", o.Pack)
	}
	if o.Lang != "" && !intent.IsLang(o.Lang) {
		return nil, conversation.Refusef(conversation.CodeInvalid, "%q is not a language such as zh or en", o.Lang)
	}
	format := o.Format
	if format == "" || format == Auto {
		found, err := Detect(in)
		if err != nil {
			return nil, err
		}
		format = found
	}
	read, ok := readers()[format]
	if !ok {
		return nil, conversation.Refusef(conversation.CodeInvalid, "%s cannot be imported", format)
	}
	d := newDraft(o.Lang)
	if err := read(in, d); err != nil {
		return nil, err
	}
	out, err := settle(d, o)
	if err != nil {
		return nil, err
	}
	out.Format, out.Sources = format, slices.Sorted(slices.Values(in.used()))
	return out, nil
}

// refuse makes an error about a place.
func refuse(at Place, format string, args ...any) error {
	return conversation.Refusef(conversation.CodeInvalid, "%s: %s", at, fmt.Sprintf(format, args...))
}

// shorten cuts a text for a remark to one line.
func shorten(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	const most = 60
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
