// Package formats reads what a bot knew elsewhere, and writes packs in other
// forms.
//
// Spreadsheets (xlsx, csv) and the exports of Rasa, Dialogflow ES and Botpress
// 12 are read; packs are written as pack files, spreadsheets and Rasa
// projects. The way in:
//
//	path → Input (input.go): files, with bounds, out of folders and archives
//	     → draft (draft.go): one reader per format, everything with its place
//	     → settle (settle.go): labels, duplicates, limits
//	     → intent.Contents and remarks: what was changed or left out, where, why
//
// Nothing is dropped without a [Remark]. Readers are total: they give a draft
// or an error that names the file, never a panic.
package formats
