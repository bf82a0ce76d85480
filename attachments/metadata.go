package attachments

import "bytes"

// withoutMetadata gives bare bytes, for which there has to be room beside the others.
// Errors: class ErrOverloaded.
func withoutMetadata(in *metered, kind string, data []byte) ([]byte, error) {
	switch kind {
	case typeJPEG, typePNG, typeWebP, typeHEIC:
		if err := in.hold(int64(len(data))); err != nil {
			return nil, err
		}
	}
	return bare(kind, data), nil
}

// bare gives a picture without what its maker's programs wrote beside it: places,
// names, serial numbers, texts, small pictures of it. Its pixels are not touched.
// The turn that it is shown in and its colour profile stay. Files of other kinds,
// and pictures that hold nothing of the sort, are given back as they are.
//
// What stands behind a picture's end is dropped as well: phones keep second
// pictures with places of their own there. Of a broken picture that stays which
// can be shown.
func bare(kind string, data []byte) []byte {
	var pieces [][]byte
	switch kind {
	case typeJPEG:
		pieces = bareJPEG(data)
	case typePNG:
		pieces = barePNG(data)
	case typeWebP:
		pieces = bareWebP(data)
	case typeHEIC:
		pieces = bareHEIC(data)
	default:
		return data
	}
	if same(pieces, data) {
		return data
	}
	return bytes.Join(pieces, nil)
}

// same reports whether nothing was dropped or changed.
func same(pieces [][]byte, data []byte) bool {
	for _, p := range pieces {
		rest, ok := bytes.CutPrefix(data, p)
		if !ok {
			return false
		}
		data = rest
	}
	return len(data) == 0
}
