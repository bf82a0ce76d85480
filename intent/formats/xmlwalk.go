package formats

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
)

// xmlWalk reads a document of XML element by element. The decoder keeps what
// is open, so the depth has to be bounded where elements open.
type xmlWalk struct {
	dec   *xml.Decoder
	depth int
}

// next gives the next token, or io.EOF.
func (x *xmlWalk) next() (xml.Token, error) {
	t, err := x.dec.Token()
	if err != nil {
		return nil, err
	}
	switch t.(type) {
	case xml.StartElement:
		if x.depth++; x.depth > maxNesting {
			return nil, errors.New("nested too deep")
		}
	case xml.EndElement:
		x.depth--
	}
	return t, nil
}

// elements calls fn for every start of an element.
func (x *xmlWalk) elements(fn func(x *xmlWalk, e xml.StartElement) error) error {
	for {
		t, err := x.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if e, ok := t.(xml.StartElement); ok {
			if err := fn(x, e); err != nil {
				return err
			}
		}
	}
}

// cellContent is what stands in a cell or a shared string.
type cellContent struct {
	value string // of <v>
	text  string // of all <t>, without readings (<rPh>)
}

// cell reads up to the end of the element that has just begun.
func (x *xmlWalk) cell() (cellContent, error) {
	var value, text strings.Builder
	end, reading := x.depth-1, 0
	name := ""
	for x.depth > end {
		t, err := x.next()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return cellContent{}, err
		}
		switch e := t.(type) {
		case xml.StartElement:
			name = e.Name.Local
			if name == "rPh" && reading == 0 {
				reading = x.depth
			}
		case xml.EndElement:
			name = ""
			if x.depth < reading {
				reading = 0
			}
		case xml.CharData:
			switch {
			case name == "v":
				value.Write(e)
			case name == "t" && reading == 0:
				text.Write(e)
			}
		}
	}
	return cellContent{value: value.String(), text: text.String()}, nil
}
